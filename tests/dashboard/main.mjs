// The dashboard as somebody sees it.
// Usage: node main.mjs ADMIN_URL SERVER_URL FOLDER

import assert from "node:assert/strict";
import { open } from "./browser.mjs";
import { figures } from "./figures.mjs";
import { explorer, keyAsked, keyboard, playground } from "./views.mjs";

const [admin, server, folder] = process.argv.slice(2);

/** Some scores, so that there is something to calibrate: higher where more was expected. */
async function score() {
  const { requests } = await (await fetch(`${admin}/api/requests?end=served&limit=80`)).json();
  for (const [at, it] of requests.entries()) {
    const told = await (await fetch(`${admin}/api/requests/${it.decision_id}`)).json();
    const share = (at * 0.618034) % 1;
    const body = { decision_id: it.decision_id, score: share < told.answer.quality.predicted ? 1 : 0, kind: "exact_match" };
    const answer = await fetch(`${server}/v1/feedback`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.text());
  }
}

await score();
const seen = await open(admin, folder);
let checks = 0;
const check = async (name, work) => {
  const began = performance.now();
  await work();
  checks += 1;
  console.log(`dashboard: ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
};

try {
  for (const colours of ["light", "dark"]) {
    for (const [size, width, height] of [["desk", 1360, 900], ["phone", 390, 844]]) {
      const page = await seen.page({ colours, width, height });
      const look = (name) => seen.look(page, `${name}-${colours}-${size}`);
      await check(`overview, ${colours}, ${size}`, () => figures(page, admin, look));
      await check(`a failed-over request, ${colours}, ${size}`, () => explorer(page, admin, look));
      await check(`playground, ${colours}, ${size}`, () => playground(page, admin, look));
      await page.context().close();
    }
  }
  await check("the keyboard alone", () => keyboard(seen, admin));
  await check("the key is asked for", () => keyAsked(seen, admin));
  assert.deepEqual(seen.strange, [], "nobody else is asked, and nothing is complained about");
} finally {
  await seen.end();
}
console.log(`dashboard: ${checks} checks, all well; screenshots in ${folder}`);
