// Who would answer this, and how that changes with what is wanted. Ranks only: nothing is called or spent.

import { get, post } from "./api.js";
import { excludedList, rankingTable } from "./decision.js";
import { h, nothing } from "./dom.js";
import { model, ms, percent, usd } from "./format.js";

/** Between the last key and the question. */
const PAUSE_MS = 40;
const EXAMPLE = "Prove that there are infinitely many primes.";

/** Dials are logarithmic, but for quality; `at` is 0 to 1. */
const DIALS = [
  { id: "quality", name: "Quality", lead: "no worse than", low: 0, high: 0.95, log: false, show: (it) => (it === 0 ? "anything" : percent(it, 0)),
    note: "Candidates expected to be worse are left out." },
  { id: "cost", name: "Cost", lead: "a right answer is worth", low: 1e-5, high: 10, log: true, show: usd, note: "Left: every cent counts. Right: money hardly matters." },
  { id: "latency", name: "Latency", lead: "or so much waiting", low: 100, high: 3600000, log: true, show: ms, note: "Left: every second counts. Right: time hardly matters." },
];

const value = (dial, at) => (dial.log ? dial.low * (dial.high / dial.low) ** at : dial.low + (dial.high - dial.low) * at);
const place = (dial, it) => (dial.log ? Math.log(it / dial.low) / Math.log(dial.high / dial.low) : (it - dial.low) / (dial.high - dial.low));

function dialRow(dial, changed) {
  const output = h("output", { for: `dial-${dial.id}`, id: `dial-${dial.id}-value` });
  const input = h("input", { type: "range", id: `dial-${dial.id}`, min: "0", max: "1", step: "0.005", "aria-describedby": `dial-${dial.id}-note` });
  const tell = () => {
    output.textContent = dial.show(value(dial, Number(input.value)));
    input.setAttribute("aria-valuetext", `${dial.lead} ${output.textContent}`);
    input.style.setProperty("--at", `${Number(input.value) * 100}%`);
  };
  input.addEventListener("input", () => {
    tell();
    changed();
  });
  const row = h("div", { class: "dial" },
    h("div", { class: "dial-head" }, h("label", { for: input.id }, dial.name, h("span", { class: "faint" }, ` ${dial.lead}`)), output),
    input, h("p", { class: "note", id: `dial-${dial.id}-note` }, dial.note));
  return { row, read: () => value(dial, Number(input.value)), set: (it) => { input.value = String(Math.min(1, Math.max(0, place(dial, it)))); tell(); } };
}

function body(text, dials) {
  const floor = dials.quality.read();
  return {
    model: "auto", messages: [{ role: "user", content: text }],
    pointsman: {
      explain: false, ...(floor > 0 ? { min_quality: floor } : {}),
      preference: { cost_per_quality_usd: dials.cost.read(), latency_per_quality_ms: dials.latency.read() },
    },
  };
}

/** Rows that changed places glide there, unless that is not wanted. */
function glide(place, draw) {
  const rows = () => [...place.querySelectorAll("tbody tr")];
  const name = (row) => row.querySelector("strong")?.textContent ?? "";
  const before = new Map(rows().map((row) => [name(row), row.getBoundingClientRect().top]));
  draw();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const row of rows()) {
    const by = (before.get(name(row)) ?? 0) - row.getBoundingClientRect().top;
    if (before.has(name(row)) && Math.abs(by) > 2) row.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: 180, easing: "ease-out" });
  }
}

function presets(policy, dials, changed) {
  const apply = (it) => {
    dials.cost.set(it.cost_per_quality_usd);
    dials.latency.set(it.latency_per_quality_ms);
    dials.quality.set(it.min_quality ?? 0);
    changed();
  };
  const button = (name, it) => h("button", { type: "button", onclick: () => apply(it) }, name);
  return [button("this server's", policy), ...policy.presets.map((it) => button(it.name, it))];
}

function told(decision, roundTrip) {
  const { ranking, excluded } = decision;
  const parts = [h("p", { class: "took", id: "took" }, `Chosen in ${ms(decision.decide_us / 1000)} on the server; ${ms(roundTrip)} with the way there and back. Artifact ${decision.artifact_version}, exit ${decision.encoder_exit}.`)];
  if (ranking.length > 0) parts.push(rankingTable(ranking));
  else parts.push(h("p", { class: "alarm warn" }, decision.refusal ?? "Nobody may answer this."));
  if (excluded.length > 0) parts.push(h("h3", {}, "Left out"), excludedList(excluded));
  return parts;
}

/** Shows it; gives back what ends it. */
export function showPlayground(main) {
  document.title = "Playground · Pointsman";
  const leaving = new AbortController();
  const result = h("div", { id: "ranked" }, nothing("Asking …"));
  const spoken = h("p", { class: "unseen", role: "status" });
  const text = h("textarea", { id: "prompt-text", rows: "7", spellcheck: "false" }, EXAMPLE);
  const choices = h("div", { class: "presets", role: "group", "aria-label": "Presets" });
  let [timer, asking] = [null, null];
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(rank, PAUSE_MS);
  };
  const dials = Object.fromEntries(DIALS.map((it) => [it.id, dialRow(it, changed)]));
  async function rank() {
    asking?.abort();
    const own = new AbortController();
    asking = own;
    if (!text.value.trim()) return result.replaceChildren(nothing("Type a prompt to see who would answer it."));
    const began = performance.now();
    try {
      const decision = await post("/api/rank", body(text.value, dials), own.signal);
      const took = performance.now() - began;
      glide(result, () => result.replaceChildren(...told(decision, took)));
      const order = decision.ranking.map((it) => model(it.deployment)).join(", ");
      if (order !== result.dataset.order) spoken.textContent = order ? `Ranking: ${order}` : "Nobody may answer this";
      result.dataset.order = order;
    } catch (error) {
      if (!own.signal.aborted) result.replaceChildren(h("p", { class: "alarm bad", role: "alert" }, error.message));
    }
  }
  text.addEventListener("input", changed);
  main.replaceChildren(
    h("div", { class: "view-head" }, h("h1", {}, "Playground"), h("p", { class: "since" }, "Ranks only: nothing is called, spent or logged.")),
    h("div", { class: "play" },
      h("section", { class: "panel", "aria-label": "What is asked, and what it is worth" },
        h("label", { for: "prompt-text", class: "block" }, "Prompt"), text, h("p", { class: "block", "aria-hidden": "true" }, "What counts"), choices, DIALS.map((it) => dials[it.id].row)),
      h("section", { class: "panel", "aria-labelledby": "ranked-title" }, h("div", { class: "panel-head" }, h("h2", { id: "ranked-title" }, "Who would answer")), result, spoken)));
  get("/api/overview", leaving.signal).then(({ policy }) => {
    choices.replaceChildren(...presets(policy, dials, changed));
    dials.cost.set(policy.cost_per_quality_usd);
    dials.latency.set(policy.latency_per_quality_ms);
    dials.quality.set(policy.min_quality ?? 0);
    return rank();
  }).catch((error) => leaving.signal.aborted || result.replaceChildren(h("p", { class: "alarm bad", role: "alert" }, error.message)));
  return () => {
    leaving.abort();
    asking?.abort();
    clearTimeout(timer);
  };
}
