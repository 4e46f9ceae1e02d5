// The overview against `/metrics`.

import assert from "node:assert/strict";

/** Sums of `/metrics` by name and labels, written `label="value"`. */
export async function metrics(admin) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const samples = text.split("\n").filter((it) => it && !it.startsWith("#")).map((line) => {
    const [, name, labels, value] = line.match(/^([a-z_]+)(?:\{(.*)\})? (.*)$/);
    return { name, labels: (labels ?? "").split(","), value: Number(value) };
  });
  return (name, ...labels) => samples.filter((it) => it.name === name && labels.every((of) => it.labels.includes(of))).reduce((a, it) => a + it.value, 0);
}

export async function figures(page, admin, look) {
  await page.goto(`${admin}/#/`);
  await page.waitForSelector("#shares [data-model]");
  await page.waitForSelector("#traffic canvas");
  await page.waitForSelector("#frontier canvas");
  await page.waitForSelector("#calibration canvas");
  const sum = await metrics(admin);
  const shown = (name) => page.locator(`[data-figure="${name}"]`);
  const number = async (name) => Number((await shown(name).textContent()).replaceAll(",", ""));
  const served = sum("pointsman_requests_total", 'end="served"');
  assert.ok(served > 50, `${served} served`);
  assert.equal(await number("requests"), sum("pointsman_requests_total"));
  assert.equal(await number("served"), served);
  const fell = sum("pointsman_fallbacks_total");
  assert.ok(fell > 0, "somebody fell back");
  assert.equal(await number("fallbacks"), fell);
  const rate = `${((fell / served) * 100).toFixed(1)} %`;
  assert.equal(await page.locator("#tile-fallback .tile-value").textContent(), rate);
  for (const [name, of] of [["spent", "pointsman_cost_usd_total"], ["always-best", "pointsman_always_best_cost_usd_total"]]) {
    const value = Number(await shown(name).getAttribute("data-value"));
    assert.ok(Math.abs(value - sum(of)) < 1e-12 && value > 0, `${name}: ${value} and not ${sum(of)}`);
  }
  for (const row of await page.locator("#shares [data-model]").all()) {
    const model = await row.getAttribute("data-model");
    const wanted = sum("pointsman_requests_total", 'end="served"', `model="${model}"`);
    assert.equal(Number(await row.getAttribute("data-count")), wanted, model);
  }
  const deployments = await page.locator("#deployments tbody tr").count();
  assert.equal(deployments, sum("pointsman_breaker_state"), "one state for each");
  // Breakers open and close by the clock; the page follows when it looks again.
  const closed = () => page.locator('#deployments [data-breaker="closed"]').count();
  const told = async () => (await metrics(admin))("pointsman_breaker_state", 'state="closed"');
  let same = false;
  for (let tries = 0; tries < 40 && !same; tries += 1) {
    same = (await told()) === (await closed());
    if (!same) await page.waitForTimeout(250);
  }
  assert.ok(same, `${await closed()} closed, and not ${await told()}`);
  const scored = sum("pointsman_compared_answers_total", 'quantity="quality"');
  assert.match(await page.locator("#calibration .note").textContent(), new RegExp(`^${scored} answers scored`));
  await look("overview");
}
