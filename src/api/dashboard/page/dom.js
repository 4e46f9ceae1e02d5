// Elements from plain values. Text always goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--") || name === "width%") {
      // By the object model: a `style` attribute is refused by the page's policy.
      if (name === "width%") element.style.width = `${value}%`;
      else element.style.setProperty(name, value);
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((it) => it !== null && it !== undefined && it !== false));
  return element;
}

/** An element: `h("p", { class: "note" }, "text", child)`. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A panel with a heading, what it says, and a note below. */
export function panel(title, { note, wide, id, aside } = {}, ...children) {
  const heading = `${id}-title`;
  return h("section", { class: wide ? "panel wide" : "panel", id, "aria-labelledby": heading },
    h("div", { class: "panel-head" }, h("h2", { id: heading }, title), aside),
    children,
    note && h("p", { class: "note" }, note));
}

/** What stands where there is nothing yet. */
export function nothing(text) {
  return h("p", { class: "nothing" }, text);
}

/** A bar of a share, 0 to 1; told by the text beside it. */
export function bar(share, tone = "accent") {
  const width = Math.max(0, Math.min(1, share)) * 100;
  return h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: `fill ${tone}`, "width%": width }));
}

/** A table; `columns` are `{ name, class }`, rows are lists of cells. */
export function table(caption, columns, rows, label) {
  const cell = (content, at) => {
    const { class: kind, name } = columns[at];
    return h(at === 0 ? "th" : "td", { class: kind, scope: at === 0 ? "row" : null, "data-label": name }, content);
  };
  return h("div", { class: "scroll cards", tabindex: "0", role: "group", "aria-label": label ?? caption },
    h("table", {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((it) => h("th", { class: it.class, scope: "col" }, it.name)))),
      h("tbody", {}, rows.map((cells) => h("tr", { class: cells.kind }, cells.map(cell))))));
}

/** Puts something into a place, unless the same was put there before. */
export function put(place, data, make) {
  const key = JSON.stringify(data);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  // Whoever reads with the keyboard keeps his place in a table that scrolls.
  const held = place.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  place.replaceChildren(...[make()].flat());
  if (held) place.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}
