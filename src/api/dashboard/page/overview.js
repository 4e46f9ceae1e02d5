// How the server is doing, asked every two seconds while somebody looks.

import { get } from "./api.js";
import * as charts from "./charts.js";
import { h, nothing, panel, put } from "./dom.js";
import { clock, count, percent, usd } from "./format.js";
import { fallbacks, tiles } from "./overview_figures.js";
import { calibrationWords, deployments, latency, shares } from "./overview_models.js";

const EVERY_MS = 2000;
/** Seconds of traffic that are shown at least, and at most. */
const SECONDS = [60, 600];

function frame() {
  const place = (kind) => h("div", { class: kind });
  const parts = {
    tiles: place("tiles"), traffic: place("plot"), fallbacks: place("fill-panel"), frontier: place("plot"),
    frontierNote: place(), shares: place(), latency: place(), calibration: place("plot"), calibrationNote: place(), deployments: place(),
    since: h("p", { class: "since" }, "Asking the server …"), alarm: place("alarms"),
  };
  const page = [
    h("div", { class: "view-head" }, h("h1", {}, "Overview"), parts.since),
    parts.alarm, parts.tiles,
    h("div", { class: "grid" },
      panel("Traffic", { id: "traffic", wide: true, note: "Requests per second over the last ten minutes (blue), and how many of them a later choice answered (amber)." }, parts.traffic),
      panel("Fallbacks by cause", { id: "fallbacks", note: "How the call of the first choice failed when another answered. Above 5 % of answers the alert fires." }, parts.fallbacks),
      panel("Quality against cost", { id: "frontier", wide: true }, parts.frontier, parts.frontierNote),
      panel("Who served", { id: "shares", note: "Share of the answers, by model." }, parts.shares),
      panel("Time to the whole answer", { id: "latency", wide: true, note: "Of the newest 1,024 decisions: what was predicted before the call, beside what it took." }, parts.latency),
      panel("Calibration", { id: "calibration" }, parts.calibration, parts.calibrationNote)),
    panel("Deployments", { id: "deployments" }, parts.deployments),
  ];
  return { parts, page };
}

function alarms(told) {
  const all = [];
  const shut = told.deployments.filter((it) => !it.available);
  if (shut.length === told.deployments.length) all.push(["bad", "No deployment can be called: every request is refused."]);
  if ((told.fallbacks.rate ?? 0) > told.fallbacks.line && told.requests.served > 20) {
    all.push(["warn", `${percent(told.fallbacks.rate)} of answers come from a later choice: over the line of ${percent(told.fallbacks.line, 0)}.`]);
  }
  if (told.log.dropped > 0) all.push(["bad", `${count(told.log.dropped)} outcomes could not be recorded.`]);
  if (told.log.last_error) all.push(["warn", told.log.last_error]);
  return all.map(([tone, text]) => h("p", { class: `alarm ${tone}` }, h("span", { class: "lamp", "aria-hidden": "true" }), text));
}

function frontierWords(told) {
  const { policy, always_best: best, requests } = told.recent.frontier;
  if (!policy) return nothing("The curve appears with the first requests.");
  const less = best.cost_usd > 0 ? `, ${percent(1 - policy.cost_usd / best.cost_usd, 0)} below always asking the best` : "";
  return h("p", { class: "note" },
    `Predicted by ${told.artifact.version} for the newest ${count(requests)} requests. The line is the best mean quality that each mean cost buys. `,
    h("strong", {}, `This policy: ${percent(policy.quality)} for ${usd(policy.cost_usd)} a request${less}.`),
    " It also weighs time, so it may stand below the line.");
}

function drawPlots(told, plots, parts) {
  const { ended } = told.traffic;
  const lived = Math.ceil((told.now_unix_ms - told.began_unix_ms) / 1000);
  const seconds = Math.min(SECONDS[1], Math.max(SECONDS[0], lived));
  const now = ended.slice(-10).reduce((a, b) => a + b, 0) / 10;
  plots.traffic.show(() => charts.traffic(told.traffic, seconds), `Requests per second; now ${now.toFixed(1)}`);
  parts.frontier.hidden = !told.recent.frontier.policy;
  if (!parts.frontier.hidden) {
    const { policy, curve } = told.recent.frontier;
    const words = `Predicted quality against cost: from ${percent(curve[0].quality)} for ${usd(curve[0].cost_usd)} to ${percent(curve.at(-1).quality)} for ${usd(curve.at(-1).cost_usd)}; this policy has ${percent(policy.quality)} for ${usd(policy.cost_usd)}`;
    if (parts.frontier.dataset.of !== JSON.stringify(told.recent.frontier)) plots.frontier.show(() => charts.frontier(told.recent.frontier), words);
    parts.frontier.dataset.of = JSON.stringify(told.recent.frontier);
  }
  const { bins } = told.calibration;
  parts.calibration.hidden = bins.length === 0;
  if (bins.length > 0 && parts.calibration.dataset.of !== JSON.stringify(bins)) {
    plots.calibration.show(() => charts.calibration(bins), `Predicted quality against realised scores in ${bins.length} bins`);
    parts.calibration.dataset.of = JSON.stringify(bins);
  }
}

function draw(told, parts, plots) {
  put(parts.since, [told.began_unix_ms, told.artifact.version], () => [
    `Since ${clock(told.began_unix_ms)}, when this process began, as in `, h("a", { href: "/metrics" }, "/metrics"),
    `. Artifact ${told.artifact.version}`, told.artifact.canary ? `, canary ${told.artifact.canary}` : "", "."]);
  put(parts.alarm, alarms(told).map((it) => it.textContent), () => alarms(told));
  put(parts.tiles, [told.requests, told.fallbacks, told.money, told.recent.latency, told.traffic.ended.slice(-10)], () => tiles(told));
  put(parts.fallbacks, [told.fallbacks, told.requests.served], () => fallbacks(told));
  put(parts.frontierNote, told.recent.frontier, () => frontierWords(told));
  put(parts.shares, [told.requests.served_by_model, told.deployments.length], () => shares(told));
  put(parts.latency, told.recent.latency, () => latency(told.recent.latency));
  put(parts.calibrationNote, told.calibration, () => calibrationWords(told.calibration));
  put(parts.deployments, told.deployments, () => deployments(told.deployments));
  drawPlots(told, plots, parts);
}

/** Shows it; gives back what ends it. */
export function showOverview(main) {
  document.title = "Overview · Pointsman";
  const { parts, page } = frame();
  main.replaceChildren(...page);
  const plots = {
    traffic: charts.plot(parts.traffic, 220, "Requests per second"),
    frontier: charts.plot(parts.frontier, 300, "Predicted quality against cost"),
    calibration: charts.plot(parts.calibration, 260, "Calibration"),
  };
  const leaving = new AbortController();
  let timer = null;
  const round = async () => {
    if (!document.hidden) {
      try {
        const told = await get("/api/overview", leaving.signal);
        if (leaving.signal.aborted) return;
        draw(told, parts, plots);
        dispatchEvent(new CustomEvent("overview", { detail: told }));
      } catch (error) {
        if (leaving.signal.aborted) return;
        parts.since.textContent = `No answer: ${error.message}. Asking again.`;
        delete parts.since.dataset.shown;
        dispatchEvent(new Event("noanswer"));
      }
    }
    timer = setTimeout(round, EVERY_MS);
  };
  round();
  return () => {
    leaving.abort();
    clearTimeout(timer);
    for (const it of Object.values(plots)) it.end();
  };
}
