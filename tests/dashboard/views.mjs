// The other views, used as somebody would.

import assert from "node:assert/strict";

/** From the filter to the attempts of a request that another than the first choice answered. */
export async function explorer(page, admin, look) {
  await page.goto(`${admin}/#/requests`);
  await page.waitForSelector("#requests tbody tr");
  const rows = page.locator("#requests tbody tr");
  assert.equal(await rows.count(), 50, "one page");
  await look("requests");
  await page.click("#older");
  await page.waitForFunction(() => document.querySelectorAll("#requests tbody tr").length > 50);
  await page.selectOption("#f-failed", "any");
  await page.selectOption("#f-end", "served");
  await page.click('#filters button[type="submit"]');
  await page.waitForURL(/failed=any/);
  await page.waitForFunction(() => document.getElementById("looked")?.textContent.includes("requests"));
  const first = page.locator("#requests tbody tr").first();
  assert.ok((await first.locator("td[data-label=Failures] .pill").count()) > 0, "it failed on the way");
  await first.locator("a.open").click();
  await page.waitForSelector("#attempts tbody tr");
  const attempts = await page.locator("#attempts tbody tr").allTextContents();
  assert.ok(attempts.length >= 2, `${attempts.length} attempts`);
  assert.match(attempts.at(-1), /answered/);
  const failed = attempts.filter((it) => !it.includes("answered"));
  assert.ok(failed.length > 0, "one of them failed");
  assert.equal(await page.locator("#what svg rect.failed").count(), failed.length, "the picture tells the same");
  assert.match(await page.locator(".story").textContent(), /failed: /);
  assert.ok((await page.locator("#ranking tbody tr").count()) > 1);
  assert.match(await page.locator("#compare").textContent(), /Time to the answer/);
  await look("decision");
}

const order = (page) => page.locator("#ranked tbody tr strong").allTextContents();

/** Moves a dial to one of its ends, by key. */
async function dial(page, id, key) {
  const asked = page.waitForResponse((it) => it.url().endsWith("/api/rank") && it.status() === 200);
  await page.locator(`#dial-${id}`).press(key);
  await asked;
  await page.waitForTimeout(100);
}

export async function playground(page, admin, look) {
  await page.goto(`${admin}/#/playground`);
  await page.waitForSelector("#ranked tbody tr");
  const before = (await (await fetch(`${admin}/api/overview`)).json()).requests.total;
  await dial(page, "latency", "End");
  await dial(page, "cost", "Home");
  const cheap = await order(page);
  await dial(page, "cost", "End");
  const good = await order(page);
  assert.notDeepEqual(good, cheap, "money changes the order");
  const utilities = () => page.locator("#ranked tbody td[data-label=Utility]").allTextContents();
  const patient = await utilities();
  await dial(page, "latency", "Home");
  assert.notDeepEqual(await utilities(), patient, "time counts");
  await dial(page, "quality", "End");
  assert.ok((await page.locator("#ranked .excluded > li").count()) > 0, "a floor leaves somebody out");
  await dial(page, "quality", "Home");
  await dial(page, "latency", "End");
  await page.fill("#prompt-text", "Say hello.");
  await page.waitForTimeout(300);
  assert.equal((await order(page)).length, cheap.length);
  await page.click(".presets button:nth-child(3)");
  await page.waitForTimeout(300);
  await look("playground");
  const after = (await (await fetch(`${admin}/api/overview`)).json()).requests.total;
  assert.equal(after, before, "nothing was asked");
}

/** To a decision and to the dials without a pointer. */
export async function keyboard(seen, admin) {
  const page = await seen.page();
  await page.goto(`${admin}/`);
  await page.waitForSelector("#shares [data-model]");
  const at = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  assert.equal(await at(), "Skip to content");
  for (const wanted of ["Pointsman", "Overview", "Requests"]) {
    await page.keyboard.press("Tab");
    assert.equal(await at(), wanted);
  }
  await page.keyboard.press("Enter");
  await page.waitForSelector("#requests tbody tr");
  await page.locator("#requests a.open").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#attempts");
  // The switch wins over the system, and is remembered.
  await page.click("#theme");
  await page.click("#theme");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.context().close();
}

/** Where the server wants a key, the page asks for it and keeps it in this tab. */
export async function keyAsked(seen, admin) {
  const page = await seen.page();
  await page.route("**/api/**", (route) => {
    const shown = route.request().headers().authorization;
    return shown === "Bearer open sesame" ? route.continue() : route.fulfill({ status: 401, json: { error: { message: "this listener wants its key" } } });
  });
  await page.goto(`${admin}/`);
  await page.waitForSelector("#key-dialog[open]");
  await seen.look(page, "key-light-desk");
  await page.fill("#key-input", "wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("key-error").textContent.includes("does not open"));
  await page.fill("#key-input", "open sesame");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#shares [data-model]");
  const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie].join(" "));
  assert.ok(!kept.includes("sesame"), "in this tab alone");
  await page.context().close();
}
