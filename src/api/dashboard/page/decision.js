// One decision, explained.

import { get } from "./api.js";
import { bar, h, nothing, panel, table } from "./dom.js";
import { count, moment, ms, percent, quality, usd, words } from "./format.js";
import { timeline } from "./timeline.js";

function facts(told) {
  const pairs = [
    ["Served by", told.served ?? "nobody"], ["Took", ms(told.total_ms)], ["Cost", usd(told.cost_usd)], ["Chosen in", ms(told.decide_us / 1000)],
    ["Artifact", `${told.artifact_version}, exit ${told.encoder_exit}${told.learned_updates ? `, ${count(told.learned_updates)} scores learned` : ""}`],
    ["Session", told.session_id && h("a", { href: `#/requests?session=${encodeURIComponent(told.session_id)}` }, told.session_id)],
    ["Request id", told.request_id], ["Key", told.caller && `${told.caller.key} of ${told.caller.team}`],
    ...Object.entries(told.metadata).map(([key, value]) => [key, h("a", { href: `#/requests?metadata=${encodeURIComponent(`${key}=${value}`)}` }, value)]),
  ];
  return h("dl", { class: "facts" }, pairs.filter(([, it]) => it).map(([name, it]) => h("div", {}, h("dt", {}, name), h("dd", {}, it))));
}

/** In words: who was first, why, and what became of it. */
function story(told) {
  const [first, second] = told.ranking;
  if (!first) return "Every candidate was excluded by a limit, so nobody was called and nothing was spent.";
  const lead = second ? `, ${(first.utility - second.utility).toFixed(4)} of quality ahead of ${second.deployment}` : "";
  const chosen = `${first.deployment} was ranked first (utility ${first.utility.toFixed(4)}${lead}).`;
  if (told.cached) return `${chosen} An answer that ${told.served} gave before was given again; nobody was called.`;
  const failed = told.attempts.filter((it) => it.failure);
  const fell = failed.map((it) => `${it.deployment} failed: ${words(it.failure)}`).join("; ");
  if (!told.served) return `${chosen} ${fell ? `${fell}. ` : ""}Nobody answered: ${words(told.end)}.`;
  if (failed.length === 0) return `${chosen} It answered at the first call.`;
  return `${chosen} ${fell}. ${told.served === first.deployment ? "Called again, it" : told.served} answered after ${ms(told.total_ms)}.`;
}

function comparison(told) {
  const it = told.answer;
  if (!it) return nothing("Nobody answered, so there is nothing to hold against the prediction.");
  const row = (name, of, show) => {
    const most = Math.max(of.predicted_p90 ?? of.predicted, of.real ?? 0, of.predicted) || 1;
    const ratio = of.real !== null && of.predicted > 0 ? `${(of.real / of.predicted).toFixed(2)} ×` : "–";
    return [name, show(of.predicted), of.predicted_p90 === undefined ? `± ${quality(of.spread)}` : show(of.predicted_p90),
      of.real === null ? h("span", { class: "faint" }, name === "Quality" ? "not scored" : "not seen") : show(of.real), ratio,
      h("span", { class: "two-bars" }, bar(of.predicted / most, "foretold"), bar((of.real ?? 0) / most, "real"))];
  };
  const columns = [{ name: `Of ${it.deployment}` }, { name: "Predicted", class: "num" }, { name: "p90", class: "num" }, { name: "Real", class: "num" },
    { name: "Real / predicted", class: "num" }, { name: "Bars", class: "bars-cell" }];
  return [
    h("p", { class: "key" }, h("span", { class: "swatch foretold" }), "predicted", h("span", { class: "swatch real" }), "real"),
    table("Predicted against real", columns, [
      row("Quality", { ...it.quality, predicted_p90: undefined }, quality), row("Cost", it.cost_usd, usd),
      row("Output tokens", it.output_tokens, count), row("Time to the answer", it.latency_ms, ms), row("First token", it.ttft_ms, ms)])];
}

/** The order, with what was expected of each. */
export function rankingTable(ranking, called = []) {
  const dearest = Math.max(...ranking.map((it) => it.prediction.cost_usd)) || 1;
  const slowest = Math.max(...ranking.map((it) => it.prediction.latency_ms)) || 1;
  const figure = (text, share, tone) => h("span", { class: "figure" }, h("span", {}, text), bar(share, tone));
  const explored = ranking.filter((it) => it.propensity > 0).length > 1;
  const cells = (it, at) => Object.assign([
    String(at + 1),
    [h("strong", {}, it.model), h("span", { class: "faint" }, ` ${it.provider}`), called.includes(it.deployment) ? h("span", { class: "pill plain" }, "called") : null,
      it.last_resort ? h("span", { class: "pill plain" }, "last resort") : null, it.shut ? h("span", { class: "pill bad" }, it.shut) : null],
    figure(quality(it.prediction.quality), it.prediction.quality, "good"), figure(usd(it.prediction.cost_usd), it.prediction.cost_usd / dearest, "warn"),
    figure(ms(it.prediction.latency_ms), it.prediction.latency_ms / slowest, "accent"), it.utility.toFixed(4),
    ...(explored ? [percent(it.propensity)] : []),
  ], { kind: at === 0 ? "first" : null });
  const columns = [{ name: "#" }, { name: "Candidate" }, { name: "Quality" }, { name: "Cost" }, { name: "Time" }, { name: "Utility", class: "num" },
    ...(explored ? [{ name: "First with", class: "num" }] : [])];
  return table("Ranking, best first", columns, ranking.map(cells));
}

/** Who was left out, and every reason. */
export function excludedList(excluded) {
  return h("ul", { class: "excluded" }, excluded.map((it) =>
    h("li", {}, h("strong", {}, it.deployment), h("ul", {}, it.reasons.map((why) => h("li", {}, h("span", { class: "pill plain" }, words(why.limit)), " ", why.message))))));
}

function prompt(of) {
  if (of.kept === "none") return nothing("Prompts are not kept here ([outcomes] prompts = \"none\").");
  if (of.kept === "hash") return [nothing("Of prompts only a hash is kept here ([outcomes] prompts = \"hash\"), enough to see that two were the same."), h("p", { class: "mono" }, of.sha256)];
  const head = h("p", { class: "note" }, "Prompts are kept whole here ([outcomes] prompts = \"full\").");
  if (of.too_long) return [head, nothing(`${count(of.bytes)} bytes: too long to be shown.`)];
  const text = (it) => it.text ?? (it.parts ?? []).map((part) => part.text ?? (part.image_url ? `[image ${part.image_url}]` : "[image]")).join("\n");
  return [head, (of.messages ?? []).map((it) => h("div", { class: "message" }, h("p", { class: "role" }, it.role), h("pre", { tabindex: "0" }, text(it) || "(no text)")))];
}

function scores(told) {
  const all = [...told.scores.map((it) => `${words(it.kind)} ${quality(it.score)}`), ...told.signals.map((it) => `${words(it.signal)} of ${it.about}: ${quality(it.score)} (weight ${it.weight})`)];
  return all.length === 0 ? nothing("Nobody has scored this answer.") : h("ul", {}, all.map((it) => h("li", {}, it)));
}

function policy(of) {
  const { preference, budget, min_quality: floor } = of;
  const limits = [budget.max_cost_usd != null && `at most ${usd(budget.max_cost_usd)}`, floor != null && `quality of at least ${quality(floor)}`].filter(Boolean);
  return h("p", {}, `A right answer was worth ${usd(preference.cost_per_quality_usd)} or ${ms(preference.latency_per_quality_ms)} of waiting`, limits.length ? `; ${limits.join(", ")}.` : ".");
}

function page(told) {
  const tone = told.end === "served" || told.end === "cached" ? (told.attempts.length > 1 ? "warn" : "good") : "bad";
  const called = told.attempts.map((it) => it.deployment);
  const opened = (name, ...inside) => h("details", {}, h("summary", {}, name), inside);
  return [
    h("p", { class: "crumb" }, h("a", { href: "#/requests" }, "Requests"), " / ", h("span", { class: "mono" }, told.decision_id)),
    h("div", { class: "view-head" }, h("h1", {}, `Request of ${moment(told.at_unix_ms)}`), h("span", { class: `pill ${tone}`, id: "end" }, words(told.end))),
    h("p", { class: "story" }, story(told)), facts(told),
    panel("What happened", { id: "what" }, timeline(told)),
    panel("Predicted against real", { id: "compare" }, comparison(told)),
    panel("Ranking", { id: "ranking", note: "Utility is quality − cost / worth − time / worth. Figures are what was predicted before the call." },
      policy(told.policy), told.ranking.length ? rankingTable(told.ranking, called) : nothing("Nobody could be ranked.")),
    h("div", { class: "grid" },
    panel("Excluded, and why", { id: "excluded" }, told.excluded.length ? excludedList(told.excluded) : nothing("Nobody: every candidate passed the limits.")),
    panel("Scores", { id: "scores" }, scores(told)), panel("Prompt", { id: "prompt" }, prompt(told.prompt))),
    opened("The record as JSON", h("pre", { class: "raw", tabindex: "0" }, JSON.stringify(told, null, 2))),
  ];
}

/** Shows it; gives back what ends it. */
export function showDecision(main, id) {
  document.title = "Request · Pointsman";
  const leaving = new AbortController();
  main.replaceChildren(h("h1", {}, "Request"), nothing("Reading the log …"));
  get(`/api/requests/${encodeURIComponent(id)}`, leaving.signal).then(
    (told) => main.replaceChildren(...page(told)),
    (error) => leaving.signal.aborted || main.replaceChildren(h("h1", {}, "Request"), h("p", { class: "alarm bad", role: "alert" }, error.message), h("p", {}, h("a", { href: "#/requests" }, "To the requests"))));
  return () => leaving.abort();
}
