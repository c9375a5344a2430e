// What the browser benchmarks share: a Chromium, a signed-in context, quantiles.
import { createRequire } from "node:module";

const require = createRequire(new URL("../tests/browser/package.json", import.meta.url));
const { chromium } = require("playwright-core");

export const url = process.env.PORTICO_URL;

/** A browser and a context in which the admin is signed in. */
export async function signedIn() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_BIN,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(process.env.PORTICO_LINK, { waitUntil: "load" });
  const confirm = page.locator("main form button[type=submit]");
  if (page.url().includes("/auth/") && (await confirm.count())) {
    await Promise.all([page.waitForURL((at) => !at.pathname.startsWith("/auth/")), confirm.first().click()]);
  }
  return { browser, context, page };
}

/** Calls the API with the token. */
export async function api(method, path, body) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${process.env.PORTICO_TOKEN}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** The value below which a share of the values lies (nearest rank). */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
