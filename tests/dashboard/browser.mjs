// A browser that takes pictures, looks for barriers, and notes whatever is strange.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const modules = createRequire(path.join(process.env.DASHBOARD_MODULES, "package.json"));
const { chromium } = modules("playwright-core");
const AXE = modules.resolve("axe-core/axe.min.js");

/** Starts it; `admin` is the only server that pages may ask. */
export async function open(admin, folder) {
  // In a container Chromium's own sandbox has no rights; what it shows is ours alone.
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const strange = [];
  return {
    strange,
    async page({ colours = "light", width = 1360, height = 900 } = {}) {
      // axe comes past the page's policy; the page itself is held to it by what is noted below.
      const context = await browser.newContext({ colorScheme: colours, viewport: { width, height }, deviceScaleFactor: width < 600 ? 2 : 1, reducedMotion: "reduce" });
      const page = await context.newPage();
      page.setDefaultTimeout(15000);
      page.on("request", (it) => it.url().startsWith(`${admin}/`) || strange.push(`asks ${it.url()}`));
      page.on("console", (it) => it.type() === "error" && !it.text().includes("401") && strange.push(`console: ${it.text()}`));
      page.on("pageerror", (it) => strange.push(`error: ${it.message}`));
      return page;
    },
    /** A picture of all of it, and no barrier. */
    async look(page, name) {
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
      const beside = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(beside <= 0, `${name} is ${beside} px wider than the window`);
      // By the browser's own door: the page's policy lets no script in from a tag.
      const session = await page.context().newCDPSession(page);
      const { readFileSync } = await import("node:fs");
      await session.send("Runtime.evaluate", { expression: readFileSync(AXE, "utf8") });
      const { violations } = await page.evaluate(() => window.axe.run());
      await session.detach();
      const told = violations.map((it) => `${it.id} (${it.impact}): ${it.help}; ${it.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
      assert.deepEqual(told, [], name);
    },
    end: () => browser.close(),
  };
}
