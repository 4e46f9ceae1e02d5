// Numbers and times in words.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (it) => (Math.abs(it) < 100000 ? whole.format(Math.round(it)) : short.format(it));

/** US dollars with the digits that matter. */
export function usd(it) {
  if (it === null || it === undefined) return "–";
  const size = Math.abs(it);
  const sign = it < 0 ? "−" : "";
  if (size === 0) return "$0";
  if (size >= 1000) return `${sign}$${whole.format(Math.round(size))}`;
  if (size >= 1) return `${sign}$${size.toFixed(2)}`;
  // Two digits that tell something, whatever the size.
  const digits = Math.min(9, 1 - Math.floor(Math.log10(size)));
  return `${sign}$${size.toFixed(digits)}`;
}

export function ms(it) {
  if (it === null || it === undefined) return "–";
  if (it < 1) return `${(it * 1000).toFixed(0)} µs`;
  if (it < 10) return `${it.toFixed(1)} ms`;
  if (it < 1000) return `${it.toFixed(0)} ms`;
  if (it < 60000) return `${(it / 1000).toFixed(it < 10000 ? 2 : 1)} s`;
  if (it < 3600000) return `${(it / 60000).toFixed(1)} min`;
  return `${(it / 3600000).toFixed(1)} h`;
}

export function percent(it, digits = 1) {
  return it === null || it === undefined ? "–" : `${(it * 100).toFixed(digits)} %`;
}

export const quality = (it) => (it === null || it === undefined ? "–" : it.toFixed(3));

const pad = (it) => String(it).padStart(2, "0");

export function clock(unixMs) {
  const at = new Date(unixMs);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

export function day(unixMs) {
  const at = new Date(unixMs);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

export const moment = (unixMs) => `${day(unixMs)} ${clock(unixMs)}`;

/** A class of failure, or an end, as people read it: `rate_limited` is "rate limited". */
export const words = (it) => String(it).replaceAll("_", " ");

/** A deployment's model, without its provider. */
export const model = (deployment) => String(deployment ?? "").split("@")[0];
