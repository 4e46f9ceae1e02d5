// The large figures at the top, and what made the first choice fail.

import { bar, h, nothing } from "./dom.js";
import { count, ms, percent, usd, words } from "./format.js";

function tile(id, name, value, ...below) {
  return h("div", { class: "tile", id: `tile-${id}` },
    h("p", { class: "tile-name" }, name), h("p", { class: "tile-value" }, value), h("div", { class: "tile-below" }, below));
}

/** Where the rate stands on the way to the line, which is at half of the meter. */
function meter(rate, line) {
  const share = Math.min(1, (rate ?? 0) / (2 * line));
  const tone = (rate ?? 0) > line ? "bad" : "good";
  return h("div", { class: "meter", "aria-hidden": "true" }, bar(share, tone), h("span", { class: "meter-line" }));
}

export function tiles(told) {
  const { requests, fallbacks, money, recent, traffic } = told;
  const perSecond = traffic.ended.slice(-10).reduce((a, b) => a + b, 0) / 10;
  const all = recent.latency.rows[0];
  const saved = money.saved_share === null ? "–" : percent(money.saved_share, 1);
  return [
    tile("traffic", "Requests per second", perSecond.toFixed(1),
      h("p", {}, h("span", { "data-figure": "requests" }, count(requests.total)), " so far, ", h("span", { "data-figure": "served" }, count(requests.served)), " served, ", count(requests.in_flight), " under way")),
    tile("fallback", "Fallback rate", percent(fallbacks.rate), meter(fallbacks.rate, fallbacks.line),
      h("p", {}, h("span", { "data-figure": "fallbacks" }, count(fallbacks.total)), " answers by a later choice; the line is at ", percent(fallbacks.line, 0))),
    tile("money", "Saved against always-best", saved,
      h("p", {}, h("span", { "data-figure": "spent", "data-value": money.spent_usd }, usd(money.spent_usd)), " spent, failed calls included; ",
        h("span", { "data-figure": "always-best", "data-value": money.always_best_usd }, usd(money.always_best_usd)),
        " is what the candidate of the highest predicted quality was predicted to cost each time")),
    tile("latency", "Time to answer, p90", all ? ms(all.real_ms[1]) : "–",
      h("p", {}, all ? `${ms(all.predicted_ms[1])} predicted; p50 ${ms(all.real_ms[0])}, ${ms(all.predicted_ms[0])} predicted` : "appears with the first answers")),
  ];
}

export function fallbacks(told) {
  const { by_class: byClass, by_first: byFirst, total } = told.fallbacks;
  if (total === 0) return nothing(told.requests.served > 0 ? "Every answer came from the first choice." : "Nothing was asked yet.");
  const rows = (of) => Object.entries(of).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const most = Math.max(...rows(byClass).map(([, n]) => n));
  return [
    h("ul", { class: "bars" }, rows(byClass).map(([name, n]) =>
      h("li", {}, known(name) ? h("a", { href: `#/requests?failed=${name}` }, words(name)) : h("span", {}, name === "not_called" ? "not called: shut, or no time or money for it" : "hedged: slower than the call beside it"), bar(n / most, "warn"), h("span", { class: "num" }, count(n))))),
    h("p", { class: "note" }, "First choices passed over: ", rows(byFirst).map(([name, n]) => `${name} (${count(n)})`).join(", ")),
  ];
}

/** Whether the log can be asked for it as a class of failure. */
function known(name) {
  return name !== "not_called" && name !== "hedged";
}
