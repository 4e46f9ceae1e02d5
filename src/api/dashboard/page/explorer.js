// The requests of the log, newest first, and what they are narrowed to.

import { get } from "./api.js";
import { h, nothing } from "./dom.js";
import { clock, count, day, model, moment, ms, usd, words } from "./format.js";

const CLASSES = ["any", "rate_limited", "overloaded", "connection", "first_token_late", "stalled", "deadline", "auth", "model_missing", "context_too_long",
  "unsupported", "content_filtered", "invalid_request", "empty_answer", "malformed", "stream_cut", "over_budget", "cancelled"];
const ENDS = ["served", "cached", "refused", "broken", "cancelled", "exhausted", "all_shut", "deadline", "over_budget", "spend_limit"];

/** `datetime-local` takes and gives local times. */
function local(unixMs) {
  if (!unixMs) return "";
  const at = new Date(Number(unixMs));
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function field(name, label, input) {
  return h("div", { class: "field" }, h("label", { for: `f-${name}` }, label), input);
}

function select(name, all, query, first) {
  const option = (value, text) => h("option", { value, selected: query.get(name) === value }, text);
  return h("select", { id: `f-${name}`, name }, option("", first), all.map((it) => option(it, words(it))));
}

const input = (name, query, more) => h("input", { id: `f-${name}`, name, value: query.get(name) ?? "", spellcheck: "false", autocomplete: "off", ...more });

function filters(query, models) {
  const when = (name) => input(name, query, { type: "datetime-local", step: "1", value: local(query.get(name)) });
  return h("form", { class: "filters", id: "filters", "aria-label": "Filters" },
    field("model", "Answered by", [input("model", query, { list: "models", placeholder: "any model" }), h("datalist", { id: "models" }, models.map((it) => h("option", { value: it })))]),
    field("failed", "Failed on the way", select("failed", CLASSES, query, "however")),
    field("end", "Ended", select("end", ENDS, query, "however")),
    field("session", "Session", input("session", query, {})),
    field("metadata", "Metadata", input("metadata", query, { placeholder: "key=value" })),
    field("from", "From", when("from")), field("until", "Until", when("until")),
    h("div", { class: "field buttons" }, h("button", { type: "submit", class: "primary" }, "Apply"), h("a", { class: "button", href: "#/requests" }, "Clear")));
}

/** What the form says, as the view's own address. */
function address(form) {
  const said = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const text = String(value).trim();
    if (!text) continue;
    said.append(name, name === "from" || name === "until" ? String(new Date(text).getTime()) : text);
  }
  return said.size > 0 ? `#/requests?${said}` : "#/requests";
}

function row(it) {
  const fellBack = it.end === "served" && it.served && it.first && it.served !== it.first;
  const tone = it.end !== "served" && it.end !== "cached" ? "bad" : it.failures.length > 0 ? "warn" : "good";
  const tags = Object.entries(it.metadata).slice(0, 4).map(([key, value]) => h("span", { class: "tag" }, `${key}=${value}`));
  const cell = (label, kind, ...content) => h("td", { class: kind, "data-label": label }, content);
  // On a phone, where a row is a card, what is not there takes no place.
  const none = (text) => h("span", { class: "faint none" }, text);
  return h("tr", {},
    h("th", { scope: "row", "data-label": "Arrived" }, h("a", { href: `#/requests/${it.decision_id}`, title: moment(it.at_unix_ms), class: "open" }, clock(it.at_unix_ms), h("span", { class: "faint" }, ` ${day(it.at_unix_ms)}`))),
    cell("Ended", "", h("span", { class: `pill ${tone}` }, words(it.end))),
    cell("Answered by", "", it.served ? h("strong", {}, model(it.served)) : h("span", { class: "faint" }, "nobody"), fellBack ? h("span", { class: "faint" }, ` after ${model(it.first)}`) : null),
    cell("Failures", "", it.failures.length ? it.failures.map((name) => h("span", { class: "pill bad small" }, words(name))) : none(fellBack ? "first choice not called" : "none")),
    cell("Took", "num", ms(it.total_ms)), cell("Cost", "num", usd(it.cost_usd)),
    cell("Session", "clip", it.session_id ? h("a", { href: `#/requests?session=${encodeURIComponent(it.session_id)}` }, it.session_id) : none("–")),
    cell("Metadata", "tags", tags.length ? tags : none("–")));
}

function head() {
  const names = [["Arrived"], ["Ended"], ["Answered by"], ["Failures"], ["Took", "num"], ["Cost", "num"], ["Session"], ["Metadata"]];
  return h("thead", {}, h("tr", {}, names.map(([name, kind]) => h("th", { scope: "col", class: kind }, name))));
}

/** How far the log was looked through, where that was not the whole. */
function where(page, found, took) {
  const back = page.looked_back_to_unix_ms ? ` back to ${moment(page.looked_back_to_unix_ms)}` : "";
  if (!page.next) return `${count(found)} requests; the log ends here. Read in ${took.toFixed(0)} ms.`;
  return `${count(found)} requests${back}. Read in ${took.toFixed(0)} ms.`;
}

async function models(signal) {
  try {
    const told = await get("/api/overview", signal);
    return [...new Set(told.deployments.map((it) => it.model))];
  } catch {
    return [];
  }
}

/** Shows it; gives back what ends it. */
export function showExplorer(main, query) {
  document.title = "Requests · Pointsman";
  const leaving = new AbortController();
  const body = h("tbody", {});
  const status = h("p", { class: "note", role: "status", id: "looked" }, "Reading the log …");
  const older = h("button", { type: "button", id: "older", hidden: true }, "Older");
  const place = h("div", { class: "form-place" }, filters(query, []));
  const rows = h("div", { class: "scroll cards", tabindex: "0", role: "group", "aria-label": "Requests, newest first" },
    h("table", { id: "requests" }, h("caption", { class: "unseen" }, "Requests, newest first"), head(), body));
  const empty = h("div", { hidden: true });
  main.replaceChildren(
    h("div", { class: "view-head" }, h("h1", {}, "Requests"), h("button", { type: "button", class: "quiet", onclick: () => start() }, "Newest")),
    place, h("section", { class: "panel", "aria-label": "Requests" }, rows, empty, h("div", { class: "more" }, older, status)));
  let [next, found] = [null, 0];
  const load = async () => {
    const asked = new URLSearchParams(query);
    if (next) asked.set("after", next);
    older.disabled = true;
    const began = performance.now();
    try {
      const page = await get(`/api/requests?${asked}`, leaving.signal);
      body.append(...page.requests.map(row));
      found += page.requests.length;
      next = page.next;
      status.textContent = where(page, found, performance.now() - began);
      status.className = "note";
      empty.hidden = found > 0;
      rows.hidden = found === 0;
      empty.replaceChildren(nothing(page.next ? "Nothing here that fits; older requests were not looked at yet." : query.size > 0 ? "No request fits these filters." : "The log is empty. The first request will stand here."));
    } catch (error) {
      if (leaving.signal.aborted) return;
      status.textContent = error.message;
      status.className = "alarm bad";
    }
    older.hidden = next === null;
    older.disabled = false;
  };
  const start = () => {
    [next, found] = [null, 0];
    body.replaceChildren();
    return load();
  };
  older.addEventListener("click", load);
  main.addEventListener("submit", (event) => {
    event.preventDefault();
    const to = address(event.target);
    if (location.hash === to) start();
    else location.hash = to;
  }, { signal: leaving.signal });
  models(leaving.signal).then((all) => {
    const list = document.getElementById("models");
    list?.replaceChildren(...all.map((it) => h("option", { value: it })));
  });
  start();
  return () => leaving.abort();
}
