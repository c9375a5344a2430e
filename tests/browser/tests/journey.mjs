// The main path: two tabs, one person, from the sign-in link to the removal of a package.
import { test, assert } from "../lib/cases.mjs";
import { countDocuments, navigation, waitForEntry } from "../lib/browser.mjs";

const dialog = ".portico-dialog";

async function approve(page, button) {
  await page.click(`${dialog} button:has-text("${button}")`);
}

test("a newcomer signs in by the printed link", async ({ first, second, url, link }) => {
  await first.goto(link);
  await first.waitForSelector("sz-nav");
  assert.ok(first.url().startsWith(url) && !first.url().includes("/auth/"), first.url());
  assert.deepEqual(await navigation(first), ["sz_dash", "sz_marketplace"]);
  await second.goto(url + "/dash");
  assert.equal(await second.textContent("h1"), "Dash");
  await second.waitForSelector("#dash .verdict h2");
});

test("both tabs share one event stream", async ({ context, url }) => {
  const streams = [];
  const hear = (request) => { if (request.url().includes("/api/portal/events")) streams.push(request.url()); };
  context.on("request", hear);
  const third = await context.newPage();
  await third.goto(url + "/dash");
  await third.waitForTimeout(700);
  assert.deepEqual(streams, [], "a third tab opened a stream of its own");
  context.off("request", hear);
  await third.close();
});

test("installing with a dependency changes the navigation of both tabs without a document request", async (world) => {
  const { first, second, url, said } = world;
  await first.bringToFront();
  await first.goto(url + "/marketplace");
  await first.fill("#market-q", "log");
  await first.waitForFunction(() => location.search.includes("q=log") && document.querySelectorAll("#market-results .card").length === 1);
  const documents = countDocuments(first, second);
  await first.click("#market-results a:has-text('LogStream Analytics')");
  await first.waitForSelector("#market-package");
  assert.equal(await first.textContent("h1"), "LogStream Analytics");
  await first.waitForFunction(() => document.title === "LogStream Analytics · Portico");
  assert.match(await first.textContent("#market-package"), /What it may do[\s\S]*What will change[\s\S]*Schedules/);
  await first.click("#market-package button[aria-label='Install version 2.1.0']");
  const box = first.locator(dialog);
  await box.locator("text=What will change").waitFor();
  const text = await box.innerText();
  for (const part of ["Install LogStream Analytics", "2.1.0", "api:schedules:read", "api:handlers:write", "storage:100gb", "Needs", "sz_schedules", "Signed by"]) assert.ok(text.includes(part), `the dialog does not say ${part}:\n${text}`);
  const began = Date.now();
  await approve(first, "Approve and install");
  await Promise.all([waitForEntry(first, "logstream_analytics"), waitForEntry(second, "logstream_analytics")]);
  const took = Date.now() - began;
  await box.locator("h2:has-text('LogStream Analytics is live')").waitFor();
  for (const page of [first, second]) assert.deepEqual(await navigation(page), ["sz_dash", "sz_marketplace", "sz_schedules", "logstream_analytics"]);
  assert.equal(documents(), 0);
  await first.click("text=Open LogStream Analytics");
  await first.waitForFunction(() => location.pathname === "/logstream" && document.querySelector("h1")?.textContent === "LogStream Analytics");
  assert.equal(await first.getAttribute("sz-nav li[data-id=logstream_analytics] a", "aria-current"), "page");
  await second.click("sz-nav li[data-id=logstream_analytics] a");
  await second.waitForFunction(() => location.pathname === "/logstream" && document.querySelector("h1")?.textContent === "LogStream Analytics");
  assert.match(await second.textContent("portico-package"), /30 days[\s\S]*100 MiB/);
  assert.equal(documents(), 0);
  assert.deepEqual(said, []);
  return `links on screen ${took} ms after approval`;
});

test("back and forward work between pages that were never loaded as documents", async ({ first }) => {
  const documents = countDocuments(first);
  await first.goBack();
  await first.waitForFunction(() => location.pathname === "/marketplace/p/logstream_analytics" && document.querySelector("#market-package"));
  await first.goForward();
  await first.waitForFunction(() => location.pathname === "/logstream" && document.querySelector("h1")?.textContent === "LogStream Analytics");
  assert.equal(await first.locator("main").count(), 1);
  assert.equal(documents(), 0);
});

test("moving between pages moves focus and says where one is", async ({ first }) => {
  await first.click("sz-nav li[data-id=sz_dash] a");
  await first.waitForFunction(() => location.pathname === "/dash" && document.activeElement?.id === "portico-main");
  assert.match(await first.textContent("#portico-live"), /^Dash/);
  assert.equal(await first.getAttribute("sz-nav li[data-id=sz_dash] a", "aria-current"), "page");
  assert.equal(await first.locator("sz-nav [aria-current]").count(), 1);
});

test("sz-nav refreshes on request and says so", async ({ first }) => {
  const heard = await first.evaluate(async () => {
    let bubbled = 0;
    document.addEventListener("nav:refreshed", () => { bubbled += 1; });
    const nav = document.querySelector("sz-nav"), before = nav.querySelector("li");
    nav.querySelector("li[data-id=sz_marketplace] a").focus();
    await nav.refresh();
    return { bubbled, same: before === nav.querySelector("li"), focus: document.activeElement?.closest("li")?.dataset.id };
  });
  assert.deepEqual(heard, { bubbled: 1, same: true, focus: "sz_marketplace" });
});

test("an upgrade marks the permission that is new", async ({ first, second, url }) => {
  await first.goto(url + "/marketplace/updates");
  assert.equal((await first.textContent("#tab-updates .count")).trim(), "1");
  const documents = countDocuments(first, second);
  await first.click("button[aria-label='Upgrade LogStream Analytics']");
  const box = first.locator(dialog);
  await box.locator(".portico-ask.wide").waitFor();
  const wide = await box.locator(".portico-ask.wide").innerText();
  assert.match(wide, /network:outbound/);
  assert.match(wide, /New in this version/);
  assert.equal(await box.locator(".portico-ask.wide").count(), 1);
  assert.match(await box.innerText(), /2\.1\.0 → 2\.2\.0/);
  await approve(first, "Approve and upgrade");
  await Promise.all([waitForEntry(first, "logstream_analytics:/alerts"), waitForEntry(second, "logstream_analytics:/alerts")]);
  await box.locator("h2:has-text('LogStream Analytics is upgraded')").waitFor();
  await first.click(`${dialog} button:has-text("Close")`);
  await first.waitForSelector("#market-updates .empty");
  assert.equal((await first.textContent("#tab-updates .count")).trim(), "0");
  await second.waitForSelector(".portico-mark:has-text('upgraded')");
  assert.equal(documents(), 0);
});

test("a tab on the older version keeps working and is offered the new one", async ({ second }) => {
  await second.bringToFront();
  await second.click(".portico-mark a:has-text('Show it now')");
  await second.waitForFunction(() => document.querySelector(".portico-owner .mono")?.textContent.includes("2.2.0"));
  assert.equal(await second.locator(".portico-mark").count(), 0);
});

test("a rollback brings the version before", async ({ first, second, url }) => {
  await first.bringToFront();
  await first.goto(url + "/marketplace/p/logstream_analytics");
  await first.click("button:has-text('Roll back to 2.1.0')");
  await first.locator(dialog).locator("text=serves again").waitFor();
  await approve(first, "Roll back");
  await Promise.all([waitForEntry(first, "logstream_analytics:/alerts", false), waitForEntry(second, "logstream_analytics:/alerts", false)]);
  await first.locator(dialog).locator("h2:has-text('is rolled back')").waitFor();
  await first.click(`${dialog} button:has-text("Close")`);
  await first.waitForSelector("button:has-text('Upgrade to 2.2.0')");
});

test("switching off marks the page that is looked at, and takes neither focus nor reload", async ({ first, second, url }) => {
  await second.goto(url + "/logstream");
  await second.focus("portico-package a");
  const documents = countDocuments(first, second);
  await first.click("button:has-text('Switch off')");
  await first.locator(dialog).locator("text=Its configuration, its permissions and its data stay").waitFor();
  await approve(first, "Switch off");
  await second.waitForSelector(".portico-mark:has-text('switched off')");
  await Promise.all([waitForEntry(first, "logstream_analytics", false), waitForEntry(second, "logstream_analytics", false)]);
  assert.ok(await second.evaluate(() => !!document.activeElement?.closest("portico-package")), "focus was taken");
  assert.equal(documents(), 0);
  const answer = await second.goto(url + "/logstream");
  assert.equal(answer.status(), 503);
  assert.match(await second.textContent(".portico-notice"), /switched off/i);
});

test("undo switches on again", async ({ first, second }) => {
  await first.click(".portico-toast button:has-text('Undo')");
  await Promise.all([waitForEntry(first, "logstream_analytics"), waitForEntry(second, "logstream_analytics")]);
  await first.waitForSelector("#market-package .badge:has-text('Running')");
});

test("what others need is not removed, and the dialog names who needs it", async ({ first, url }) => {
  await first.goto(url + "/marketplace/p/sz_schedules");
  await first.click("button:has-text('Remove')");
  const note = first.locator(`${dialog} .portico-note.failed`);
  await note.waitFor();
  assert.match(await note.innerText(), /LogStream Analytics|logstream_analytics/);
  assert.equal(await first.locator(`${dialog} button.danger`).count(), 0);
  await first.keyboard.press("Escape");
});

test("a removed page says plainly that it was removed", async ({ first, second, url }) => {
  await second.goto(url + "/logstream");
  await first.goto(url + "/marketplace/p/logstream_analytics");
  const documents = countDocuments(first, second);
  await first.click("button:has-text('Remove')");
  await first.locator(dialog).locator("text=What goes").waitFor();
  await approve(first, "Remove");
  await second.waitForSelector(".portico-mark:has-text('removed')");
  await Promise.all([waitForEntry(first, "logstream_analytics", false), waitForEntry(second, "logstream_analytics", false)]);
  assert.equal(documents(), 0);
  const answer = await second.goto(url + "/logstream");
  assert.equal(answer.status(), 410);
  assert.match(await second.textContent(".portico-notice"), /removed/i);
});
