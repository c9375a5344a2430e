// Everything without a mouse.
import { test, assert } from "../lib/cases.mjs";
import { tabTo, waitForEntry } from "../lib/browser.mjs";

test("a package is installed with the keyboard alone", async ({ context, url, second }) => {
  const page = await context.newPage();
  await page.goto(url + "/dash");
  await page.keyboard.press("g");
  await page.keyboard.press("m");
  await page.waitForFunction(() => location.pathname === "/marketplace");
  // The address changes before the page does.
  await page.waitForSelector("#portico-main #market-q");
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement?.id === "market-q");
  await page.keyboard.type("team links", { delay: 20 });
  await page.waitForFunction(() => document.querySelectorAll("#market-results .card").length === 1);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "market-q", "typing was interrupted");
  assert.equal(await page.inputValue("#market-q"), "team links");
  await tabTo(page, "a[href='/marketplace/p/team_links']");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#market-package");
  await tabTo(page, "#market-package button");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".portico-dialog .portico-box");
  assert.ok(await page.evaluate(() => !!document.activeElement?.closest("dialog")), "focus is not in the dialog");
  await tabTo(page, ".portico-dialog button.primary");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Approve and install");
  await page.keyboard.press("Enter");
  await waitForEntry(page, "team_links");
  await page.waitForFunction(() => document.activeElement?.textContent === "Open Team links");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => location.pathname === "/links");
  assert.match(await page.textContent("portico-package"), /Handbook/);
  await waitForEntry(second, "team_links");
  await page.close();
});

test("Escape closes the dialog and focus returns to where it was", async ({ context, url }) => {
  const page = await context.newPage();
  await page.goto(url + "/marketplace/p/team_links");
  await page.focus("button:has-text('Switch off')");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".portico-dialog .portico-box");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".portico-dialog", { state: "detached" });
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Switch off/);
  await page.close();
});

test("the map of keys opens, and single keys can be switched off", async ({ browser, context, url }) => {
  const own = await browser.newContext({ storageState: await context.storageState() });
  const page = await own.newPage();
  await page.goto(url + "/dash");
  await page.keyboard.press("?");
  await page.waitForSelector(".portico-keys");
  await page.uncheck(".portico-dialog input[type=checkbox]");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".portico-dialog", { state: "detached" });
  await page.keyboard.press("?");
  await page.waitForTimeout(300);
  assert.equal(await page.locator(".portico-dialog").count(), 0);
  await own.close();
});

test("on a small screen the navigation is a sheet that Escape closes", async ({ browser, context, url }) => {
  const own = await browser.newContext({ storageState: await context.storageState(), viewport: { width: 390, height: 844 } });
  const page = await own.newPage();
  await page.goto(url + "/dash");
  assert.equal(await page.isVisible("sz-nav a"), false);
  await page.focus("#portico-menu");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.closest("#portico-rail"));
  assert.equal(await page.isVisible("sz-nav a"), true);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.id === "portico-menu");
  await page.click("#portico-menu");
  await page.click("sz-nav li[data-id=sz_marketplace] a");
  await page.waitForFunction(() => location.pathname === "/marketplace" && !("sheet" in document.documentElement.dataset));
  await own.close();
});
