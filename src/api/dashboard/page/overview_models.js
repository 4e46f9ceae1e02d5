// What each model and deployment does: shares, times, breakers.

import { bar, h, nothing, s, table } from "./dom.js";
import { count, ms, percent, usd, words } from "./format.js";

export function shares(told) {
  const by = told.requests.served_by_model;
  const all = Object.values(by).reduce((a, b) => a + b, 0);
  const rows = Object.entries(by).sort((a, b) => b[1] - a[1]);
  if (all === 0) return nothing("Nobody has answered yet.");
  return h("ul", { class: "bars shares" }, rows.map(([name, n]) =>
    h("li", { "data-model": name, "data-count": n },
      h("a", { href: `#/requests?model=${encodeURIComponent(name)}` }, name), bar(n / all),
      h("span", { class: "num" }, percent(n / all), h("span", { class: "faint" }, ` ${count(n)}`)))));
}

/** Two spans from p50 to p99, predicted above real, on one scale. */
function spans(row, [least, most]) {
  const x = (it) => (Math.log(Math.max(it, least) / least) / Math.log(most / least || 2)) * 200;
  const line = ([p50, p90, p99], y, kind) => [
    s("line", { class: `span ${kind}`, x1: x(p50), x2: Math.max(x(p99), x(p50) + 1), y1: y, y2: y }),
    s("circle", { class: kind, cx: x(p50), cy: y, r: 3.5 }),
    s("line", { class: `tick ${kind}`, x1: x(p90), x2: x(p90), y1: y - 4, y2: y + 4 }),
  ];
  return s("svg", { class: "spans", viewBox: "-6 0 212 24", "aria-hidden": "true", preserveAspectRatio: "none" },
    line(row.predicted_ms, 7, "foretold"), line(row.real_ms, 17, "real"));
}

export function latency({ rows }) {
  if (rows.length === 0) return nothing("Nobody has answered yet.");
  const all = rows.flatMap((it) => [...it.predicted_ms, ...it.real_ms]);
  const ends = [Math.max(0.1, Math.min(...all)), Math.max(0.2, ...all)];
  const both = (row, at) => [h("span", { class: "real-figure" }, ms(row.real_ms[at])), h("span", { class: "faint" }, ` ${ms(row.predicted_ms[at])}`)];
  const cells = (row) => [row.deployment ?? "everyone", count(row.answers), spans(row, ends), both(row, 0), both(row, 1), both(row, 2), percent(row.within_p90, 0)];
  const columns = [{ name: "Deployment" }, { name: "Answers", class: "num" }, { name: "p50 to p99", class: "spans-cell" },
    { name: "p50", class: "num" }, { name: "p90", class: "num" }, { name: "p99", class: "num" }, { name: "Within p90", class: "num" }];
  return [
    h("p", { class: "key" }, h("span", { class: "swatch real" }), "real", h("span", { class: "swatch foretold" }), "predicted (small figures); dot p50, tick p90, end p99"),
    table("Time to the whole answer, real and predicted", columns, rows.map(cells)),
  ];
}

export function calibrationWords(told) {
  if (told.answers === 0) {
    return nothing("Nobody has scored an answer yet. Scores come with feedback (POST /v1/feedback) and show here whether a predicted 70 % is 70 %.");
  }
  const [expected, real] = [told.predicted_sum / told.answers, told.realised_sum / told.answers];
  return h("p", { class: "note" }, h("strong", {}, `${count(told.answers)} answers scored: ${percent(real)}, and ${percent(expected)} were expected.`),
    " A point on the dashed line is right on average; its size is how many answers it stands for.");
}

const TONES = { closed: "good", ramping: "warn", half_open: "warn", open: "bad" };

function breaker(it) {
  const name = it.breaker ?? (it.available ? "closed" : "unavailable");
  const more = it.opens_in_ms && name !== "closed" ? `, ${ms(it.opens_in_ms)} more` : "";
  const why = name !== "closed" && it.opened_by ? ` (${words(it.opened_by)})` : "";
  return h("span", { class: `pill ${it.available || name !== "closed" ? (TONES[name] ?? "bad") : "bad"}`, "data-breaker": name }, words(name), more, why);
}

export function deployments(all) {
  const calls = (it) => Object.entries(it.attempts).filter(([, n]) => n > 0);
  const failures = (it) => calls(it).filter(([name]) => name !== "answered").sort((a, b) => b[1] - a[1]);
  const sum = (of) => of.reduce((a, [, n]) => a + n, 0);
  const cells = (it) => Object.assign([
    h("span", {}, h("strong", {}, it.model), h("span", { class: "faint" }, ` ${it.provider}`)),
    [breaker(it), !it.available && it.unavailable && !it.unavailable.startsWith("shut") ? h("span", { class: "faint" }, ` ${it.unavailable}`) : null],
    count(sum(calls(it))),
    [count(sum(failures(it))), h("span", { class: "faint" }, failures(it).length ? ` ${failures(it).map(([name, n]) => `${words(name)} ${count(n)}`).join(", ")}` : "")],
    usd(it.cost_usd), `${usd(it.input_usd_per_million)} / ${usd(it.output_usd_per_million)}`,
  ], { kind: it.available ? null : "dim" });
  const columns = [{ name: "Deployment" }, { name: "Breaker" }, { name: "Calls", class: "num" }, { name: "Failed", class: "after-num" },
    { name: "Spent", class: "num" }, { name: "$/M in / out", class: "num" }];
  return table("Deployments, their breakers and calls", columns, all.map(cells));
}
