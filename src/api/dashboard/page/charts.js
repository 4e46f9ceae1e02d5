// The three plots, by uPlot. Colours come from the page's own, and change with them.

import { clock, count, percent, usd } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

function axis(values, more) {
  return {
    stroke: colour("--muted"), font: FONT, labelFont: FONT, labelSize: 22, labelGap: 2, gap: 6,
    grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
    values: (_, all) => all.map((it) => (it === null ? "" : values(it))), ...more,
  };
}

/** A line of text that follows the pointer. */
function tip(words) {
  const box = document.createElement("div");
  box.className = "tip";
  return {
    hooks: {
      init: (u) => u.over.append(box),
      setCursor: (u) => {
        const text = u.cursor.idx === null || u.cursor.idx === undefined ? null : words(u, u.cursor.idx);
        box.hidden = !text;
        if (!text) return;
        box.textContent = text;
        const left = Math.min(u.cursor.left + 12, u.over.clientWidth - box.offsetWidth);
        box.style.left = `${Math.max(0, left)}px`;
        box.style.top = `${Math.max(0, u.cursor.top - box.offsetHeight - 8)}px`;
      },
    },
  };
}

/** Keeps a plot as wide as its place, and in the page's colours. `make` gives options and data. */
export function plot(place, height, label) {
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", label);
  let [drawn, last] = [null, null];
  const size = () => ({ width: Math.max(200, place.clientWidth), height });
  const draw = () => {
    if (!last) return;
    drawn?.destroy();
    const { options, data } = last();
    drawn = new window.uPlot({ ...options, ...size(), legend: { show: false } }, data, place);
  };
  const watcher = new ResizeObserver(() => drawn?.setSize(size()));
  watcher.observe(place);
  addEventListener("themechange", draw);
  return {
    show(make, words) {
      if (words) place.setAttribute("aria-label", words);
      const before = last;
      last = make;
      if (!drawn || !before || make().fixed) draw();
      else drawn.setData(make().data);
    },
    end() {
      watcher.disconnect();
      removeEventListener("themechange", draw);
      drawn?.destroy();
    },
  };
}

/** Requests per second, and those of them that fell back, over so many seconds. */
export function traffic(told, seconds) {
  const last = told.last_unix_s;
  // Each point is a mean over some seconds, so that there are some hundred of them.
  const step = Math.max(1, Math.round(seconds / 120));
  const length = Math.floor(Math.min(seconds, told.ended.length) / step);
  const sums = (all) => {
    const of = all.slice(all.length - length * step);
    return Array.from({ length }, (_, at) => of.slice(at * step, at * step + step).reduce((a, b) => a + b, 0) / step);
  };
  const xs = Array.from({ length }, (_, at) => last - (length - 1 - at) * step);
  const data = [xs, sums(told.ended), sums(told.fell_back)];
  const line = (name) => ({ stroke: colour(name), width: 2, fill: `${colour(name)}26`, points: { show: false } });
  const words = (u, at) => `${clock(u.data[0][at] * 1000)}  ${u.data[1][at].toFixed(1)}/s, ${u.data[2][at].toFixed(1)}/s by a later choice`;
  const options = {
    scales: { y: { range: (_, __, top) => [0, Math.max(1, top * 1.15)] } },
    axes: [axis((it) => clock(it * 1000), { space: 90, size: 32 }), axis((it) => count(it * 10) / 10 === Math.round(it) ? String(Math.round(it)) : it.toFixed(1), { size: 40 })],
    series: [{}, line("--accent"), line("--warn-fill")],
    cursor: { y: false, points: { size: 7 } },
    plugins: [tip(words)],
  };
  return { options, data };
}

/** Points with names, on uPlot's one row of x. */
function scatter(groups) {
  const xs = [...new Set(groups.flatMap((it) => it.points.map((p) => p.x)))].sort((a, b) => a - b);
  const column = ({ points }) => {
    const at = new Map(points.map((p) => [p.x, p]));
    return xs.map((x) => at.get(x)?.y ?? null);
  };
  return [xs, ...groups.map(column)];
}

/** Round points, uPlot's own being cut where they overlap. */
function circles(u, points, { fill, ring, size }) {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  for (const it of points) {
    ctx.beginPath();
    ctx.arc(u.valToPos(it.x, "x", true), u.valToPos(it.y, "y", true), (size(it) / 2) * ratio, 0, 2 * Math.PI);
    ctx.fillStyle = fill;
    ctx.fill();
    ctx.lineWidth = 2 * ratio;
    ctx.setLineDash([]);
    ctx.strokeStyle = ring;
    ctx.stroke();
  }
  ctx.restore();
}

function names(groups) {
  return (u) => {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    // Names keep off the points, and off each other.
    const taken = groups.flatMap((it) => it.points).map(({ x, y }) => {
      const at = u.valToPos(x, "x", true);
      return { row: u.valToPos(y, "y", true), from: at - 8 * ratio, to: at + 8 * ratio };
    });
    for (const { points, ink } of groups) {
      for (const { x, y, name } of points.filter((it) => it.name)) {
        const width = ctx.measureText(name).width;
        const [px, py] = [u.valToPos(x, "x", true), u.valToPos(y, "y", true)];
        const { left, width: all } = u.bbox;
        const tight = px + width + 14 * ratio > left + all;
        const from = tight ? px - width - 10 * ratio : px + 10 * ratio;
        const rows = [0, 16, -16, 32, -32].map((it) => py + it * ratio);
        const clash = (row) => taken.some((it) => Math.abs(it.row - row) < 14 * ratio && from < it.to && from + width > it.from);
        const row = rows.find((it) => !clash(it)) ?? py;
        taken.push({ row, from, to: from + width });
        ctx.fillStyle = ink;
        ctx.fillText(name, from, row);
      }
    }
    ctx.restore();
  };
}

/** A row of values that is drawn by a hook. */
const UNDRAWN = { paths: () => null, points: { show: false } };

/** Quality against cost: what is possible, everyone alone, always the best, and the policy. */
export function frontier(told) {
  const at = (it, name) => ({ x: it.cost_usd, y: it.quality, name });
  const [ink, muted, surface] = ["--ink", "--muted", "--surface"].map(colour);
  const few = told.alone.length <= 12;
  const groups = [
    { points: told.curve.map((it) => at(it)), ink },
    { points: told.alone.map((it) => at(it, few ? it.deployment.split("@")[0] : null)), ink: muted },
    { points: told.always_best ? [at(told.always_best, "always best")] : [], ink: muted },
    { points: told.policy ? [at(told.policy, "this policy")] : [], ink },
  ];
  const marks = [[1, muted, 11], [2, colour("--warn-fill"), 13], [3, colour("--good-fill"), 17]];
  const data = scatter(groups);
  const xs = data[0];
  const far = xs[0] > 0 && xs.at(-1) / xs[0] > 20;
  const ys = groups.flatMap((it) => it.points.map((p) => p.y));
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const room = Math.max(0.02, (high - low) * 0.18);
  const range = far ? [xs[0] / 1.6, xs.at(-1) * 2.2] : [0, xs.at(-1) * 1.25];
  const words = (u, idx) => {
    const found = groups.flatMap((it) => it.points).find((it) => it.x === u.data[0][idx]);
    return found && `${found.name ? `${found.name}: ` : ""}${usd(found.x)} for ${percent(found.y)}`;
  };
  const options = {
    scales: { x: { time: false, distr: far ? 3 : 1, range }, y: { range: [Math.max(0, low - room), Math.min(1, high + room)] } },
    axes: [axis(usd, { label: "predicted cost of a request", space: 70, size: 32, grid: { show: false } }), axis((it) => percent(it, 0), { label: "predicted quality", size: 46 })],
    series: [{},
      { stroke: colour("--accent"), width: 2, spanGaps: true, points: { show: false } },
      UNDRAWN, UNDRAWN, UNDRAWN],
    hooks: { draw: [(u) => marks.forEach(([at, fill, size]) => circles(u, groups[at].points, { fill, ring: surface, size: () => size })), names(groups.slice(1))] },
    cursor: { y: false, points: { show: false } },
    plugins: [tip(words)],
  };
  return { options, data, fixed: true };
}

/** What was expected of answers against what people said of them. */
export function calibration(bins) {
  const surface = colour("--surface");
  const most = Math.max(1, ...bins.map((it) => it.answers));
  const groups = [
    { points: [{ x: 0, y: 0 }, { x: 1, y: 1 }], ink: "" },
    { points: bins.map((it) => ({ x: it.predicted, y: it.realised, answers: it.answers })), ink: "" },
  ];
  const sizes = new Map(bins.map((it) => [it.predicted, 8 + 14 * Math.sqrt(it.answers / most)]));
  const draw = (u) => circles(u, groups[1].points, { fill: colour("--accent"), ring: surface, size: (it) => sizes.get(it.x) });
  const words = (u, idx) => {
    const found = bins.find((it) => it.predicted === u.data[0][idx]);
    return found && `${count(found.answers)} answers: expected ${percent(found.predicted)}, scored ${percent(found.realised)}`;
  };
  const options = {
    scales: { x: { time: false, range: [0, 1] }, y: { range: [-0.04, 1.04] } },
    axes: [axis((it) => percent(it, 0), { label: "predicted quality", size: 32 }), axis((it) => percent(it, 0), { label: "realised score", size: 46 })],
    series: [{}, { stroke: colour("--muted"), width: 1.5, dash: [5, 5], spanGaps: true, points: { show: false } }, UNDRAWN],
    hooks: { draw: [draw] },
    cursor: { y: false, points: { show: false } },
    plugins: [tip(words)],
  };
  return { options, data: scatter(groups), fixed: true };
}
