// Which view is shown: the part of the address behind `#`.

import { get } from "./api.js";
import { h } from "./dom.js";
import { showDecision } from "./decision.js";
import { showExplorer } from "./explorer.js";
import { showOverview } from "./overview.js";
import { showPlayground } from "./playground.js";

const main = document.getElementById("main");
let leave = null;

/** `#/requests/ID?x=y` into its parts. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/").filter(Boolean);
  return { view: view ?? "overview", id: rest.join("/"), query: new URLSearchParams(query ?? "") };
}

function mark(view) {
  for (const link of document.querySelectorAll("nav a[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function unknown() {
  document.title = "Not found · Pointsman";
  main.replaceChildren(h("h1", {}, "There is no such view"), h("p", {}, h("a", { href: "#/" }, "To the overview")));
}

function show() {
  // The skip link's target is no view.
  if (location.hash === "#main") return;
  const { view, id, query } = place();
  leave?.();
  leave = null;
  mark(view);
  if (view === "overview") leave = showOverview(main);
  else if (view === "requests" && id) leave = showDecision(main, decodeURIComponent(id));
  else if (view === "requests") leave = showExplorer(main, query);
  else if (view === "playground") leave = showPlayground(main);
  else unknown();
}

/** The lamp in the bar: whether the server takes work. */
export function tellState(kind, text) {
  const state = document.getElementById("state");
  if (state.dataset.kind === kind && document.getElementById("state-text").textContent === text) return;
  state.dataset.kind = kind;
  document.getElementById("state-text").textContent = text;
}

async function watch() {
  try {
    const told = await get("/api/overview");
    tellState(told.ready ? "good" : "warn", told.ready ? "Ready" : "Leaving");
  } catch {
    tellState("bad", "No answer");
  }
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("overview", (event) => tellState(event.detail.ready ? "good" : "warn", event.detail.ready ? "Ready" : "Leaving"));
addEventListener("noanswer", () => tellState("bad", "No answer"));
show();
if (place().view !== "overview") watch();
