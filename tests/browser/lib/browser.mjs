// A Chromium that talks to nobody but the portal, and what the tests ask of its pages.
import { mkdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const out = fileURLToPath(new URL("../out/", import.meta.url));
mkdirSync(out, { recursive: true });
const axe = readFileSync(fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url)), "utf8");

export async function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_BIN || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-default-apps"],
  });
}

/** Collects layout shifts from the first byte on. */
const SHIFTS = () => {
  window.layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.layoutShift += entry.value;
      (window.shifted ??= []).push(`${entry.value} after ${Math.round(entry.startTime)} ms: ` + entry.sources.map(({ node, previousRect: a, currentRect: b }) => `${node?.nodeName}.${node?.className ?? ""} in ${node?.closest?.("[data-package]")?.dataset.package ?? "the shell"} from ${a.x},${a.y} ${a.width}×${a.height} to ${b.x},${b.y} ${b.width}×${b.height}`).join(", "));
    }
  }).observe({ type: "layout-shift", buffered: true });
};

export async function newContext(browser, { width = 1440, height = 900, scheme = "light", state } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, storageState: state, locale: "en-GB" });
  context.setDefaultTimeout(10_000);
  await context.addInitScript(SHIFTS);
  return context;
}

/** What a page said to its console at level error, except what a test expects. */
export function listen(page) {
  const said = [];
  page.on("console", (message) => { if (message.type() === "error") said.push(message.text()); });
  page.on("pageerror", (error) => said.push(String(error)));
  return said;
}

export function countDocuments(...pages) {
  let count = 0;
  for (const page of pages) page.on("request", (request) => { if (request.resourceType() === "document") count += 1; });
  return () => count;
}

/** axe with every rule; the script comes in through the debugger, since the page's policies let nobody else in. */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  await session.detach();
  const result = await page.evaluate(() => window.axe.run(document));
  return result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ") + " (" + (node.any[0]?.message ?? node.all[0]?.message ?? node.none[0]?.message ?? "") + ")").join("; ")}`);
}

/** Moving pictures have ended, pending requests are answered. */
export async function settled(page) {
  await page.waitForLoadState("networkidle", { timeout: 1500 }).catch(() => {});  // the event stream never ends
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((a) => a.effect?.getTiming().iterations !== Infinity).map((a) => a.finished)));
}

export async function navigation(page) {
  return page.$$eval("sz-nav li:not(.portico-gone)", (items) => items.map((item) => item.dataset.id));
}

export async function waitForEntry(page, id, there = true) {
  await page.waitForFunction(([id, there]) => !!document.querySelector(`sz-nav li[data-id="${id}"]:not(.portico-gone)`) === there, [id, there]);
}

/** Presses Tab until `selector` has focus, as a person without a mouse does. */
export async function tabTo(page, selector, key = "Tab") {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await page.evaluate((selector) => !!document.activeElement?.matches(selector), selector)) return presses;
    await page.keyboard.press(key);
  }
  const where = await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 200));
  throw new Error(`Tab never reached ${selector}; focus is on ${where}`);
}
