// The attempts of one request on a line of time.

import { h, s, table } from "./dom.js";
import { ms, usd, words } from "./format.js";

const [WIDTH, ROW, LEFT] = [1000, 34, 0];

/** A round step for so long a time, so that there are four to eight of them. */
function step(total) {
  const rough = total / 5;
  const base = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((it) => it * base).find((it) => it >= rough) ?? base * 10;
}

function picture(rows, total) {
  const x = (at) => LEFT + (Math.max(0, Math.min(total, at)) / total) * (WIDTH - LEFT);
  const height = rows.length * ROW + 26;
  const by = step(total);
  const ticks = Array.from({ length: Math.floor(total / by) + 1 }, (_, at) => at * by);
  const lines = ticks.map((at) => s("line", { class: "grid-line", x1: x(at), x2: x(at), y1: 0, y2: height - 22 }));
  const bars = rows.map((row, at) => {
    const from = x(row.start);
    const width = Math.max(3, x(row.start + row.length) - from);
    const mark = row.ttft ? s("line", { class: "first-token", x1: x(row.start + row.ttft), x2: x(row.start + row.ttft), y1: at * ROW + 5, y2: at * ROW + ROW - 5 }) : null;
    return [s("rect", { class: `span-bar ${row.tone}`, x: from, y: at * ROW + 5, width, height: ROW - 10, rx: 4 }), mark].filter(Boolean);
  });
  return h("div", { class: "time-picture" },
    h("div", { class: "time-names", "aria-hidden": "true" }, rows.map((it) => h("span", {}, it.name))),
    h("div", { class: "time-bars" },
      s("svg", { viewBox: `0 0 ${WIDTH} ${height - 22}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "time-svg", height: height - 22 }, lines, bars.flat()),
      h("div", { class: "time-scale", "aria-hidden": "true" }, ticks.map((at) => h("span", { "--at": `${(x(at) / WIDTH) * 100}%` }, ms(at) === "0 µs" ? "0" : ms(at))))));
}

/** The picture, and the same as a table. */
export function timeline(told) {
  const total = Math.max(told.total_ms, ...told.attempts.map((it) => it.start_ms + it.total_ms), 0.001);
  const rows = [
    { name: "choosing", start: 0, length: told.decide_us / 1000, tone: "choosing" },
    ...told.attempts.map((it) => ({ name: it.deployment, start: it.start_ms, length: it.total_ms, ttft: it.ttft_ms, tone: it.failure ? "failed" : "answered" })),
  ];
  const columns = [{ name: "#" }, { name: "Deployment" }, { name: "Outcome" }, { name: "Began", class: "num" }, { name: "Took", class: "num" },
    { name: "First token", class: "num" }, { name: "Tokens in / out", class: "num" }, { name: "Cost", class: "num" }];
  const cells = (it, at) => [
    String(at + 1), it.deployment,
    [h("span", { class: `pill ${it.failure ? "bad" : "good"}` }, it.failure ? words(it.failure) : "answered"), it.status && it.status !== 200 ? ` ${it.status}` : "", it.detail ? h("span", { class: "faint" }, ` ${it.detail}`) : null],
    ms(it.start_ms), ms(it.total_ms), ms(it.ttft_ms), `${it.usage.input_tokens} / ${it.usage.output_tokens}${it.usage_estimated ? " (estimated)" : ""}`, usd(it.cost_usd),
  ];
  const list = told.attempts.length > 0 ? table("Attempts", columns, told.attempts.map(cells)) : h("p", { class: "nothing" }, "Nobody was called.");
  return [picture(rows, total), h("div", { id: "attempts" }, list)];
}
