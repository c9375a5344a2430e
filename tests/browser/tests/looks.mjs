// Every page, light and dark, at 390 and 1440: no accessibility violation, nothing jumps, and a picture of it.
import { gzipSync } from "node:zlib";
import { test, assert } from "../lib/cases.mjs";
import { newContext, out, settled, violations } from "../lib/browser.mjs";

const PAGES = {
  dash: "/dash", marketplace: "/marketplace", "search-nothing": "/marketplace/search?q=zzzz", installed: "/marketplace/installed", updates: "/marketplace/updates",
  "package-new": "/marketplace/p/logstream_analytics", "package-installed": "/marketplace/p/team_links", "package-unknown": "/marketplace/p/nobody_has_this",
  links: "/links", schedules: "/schedules", expressions: "/schedules/expressions", removed: "/logstream", "not-found": "/nothing-is-here",
};

for (const width of [390, 1440]) {
  for (const scheme of ["light", "dark"]) {
    test(`every page at ${width} in ${scheme}: axe finds nothing, nothing jumps`, async ({ browser, context, url }) => {
      const own = await newContext(browser, { width, height: width < 720 ? 844 : 900, scheme, state: await context.storageState() });
      const page = await own.newPage(), wrong = [];
      const look = async (name) => {
        await settled(page);
        await page.screenshot({ path: `${out}${name}-${width}-${scheme}.png`, fullPage: true });
        wrong.push(...(await violations(page)).map((text) => `${name}: ${text}`));
      };
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(url + path);
        await settled(page);
        const { shift, which } = await page.evaluate(() => ({ shift: window.layoutShift, which: window.shifted }));
        await look(name);  // the picture of a whole page changes the size of the window, so it comes after
        if (shift) wrong.push(`${name}: layout shift ${shift} (${which?.join("; ")})`);
        if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wrong.push(`${name}: wider than the screen`);
      }
      await page.goto(url + "/marketplace/p/logstream_analytics");
      await page.click("#market-package button:text-is('Install')");
      await page.waitForSelector(".portico-dialog .portico-box");
      await look("approval");
      await page.keyboard.press("Escape");
      await page.goto(url + "/marketplace/p/team_links");
      await page.click("button:has-text('Remove')");
      await page.waitForSelector(".portico-dialog .portico-box");
      await look("removal");
      await page.keyboard.press("Escape");
      await page.click("#portico-activity");
      await page.waitForSelector("#portico-activity-panel .list");
      await look("activity");
      await page.keyboard.press("Escape");
      await own.close();
      assert.deepEqual(wrong, []);
    });
  }
}

for (const scheme of ["light", "dark"]) {
  test(`the sign-in page in ${scheme}`, async ({ browser, url }) => {
    if (process.env.PORTICO_TEST_URL) return "not on a portal that lets everybody in";
    const own = await newContext(browser, { width: 390, height: 844, scheme });
    const page = await own.newPage();
    await page.goto(url + "/dash");
    assert.match(page.url(), /\/auth\/sign-in\?next=/);
    await settled(page);
    await page.screenshot({ path: `${out}sign-in-390-${scheme}.png` });
    assert.deepEqual(await violations(page), []);
    await own.close();
    return undefined;
  });
}

// Not with the mouse: shifts within half a second of a press are not counted, and a slow machine's come later.
const go = (page, selector) => page.evaluate((selector) => document.querySelector(selector).click(), selector);

test("nothing jumps when one moves between packages, however slow the machine", async ({ browser, context, url }) => {
  const own = await newContext(browser, { state: await context.storageState() });
  const page = await own.newPage(), debug = await own.newCDPSession(page);
  await page.goto(url + "/dash");
  await settled(page);
  await debug.send("Emulation.setCPUThrottlingRate", { rate: 6 });
  for (const id of ["sz_marketplace", "team_links", "sz_dash", "sz_schedules", "team_links", "sz_marketplace", "sz_dash"]) {
    await go(page, `sz-nav li[data-id=${id}] a`);
    await page.waitForFunction((id) => document.querySelector("#portico-main").dataset.owner === id, id);
    await settled(page);
  }
  const { shift, which } = await page.evaluate(() => ({ shift: window.layoutShift, which: window.shifted }));
  await own.close();
  assert.equal(shift, 0, which?.join("; "));
});

test("a page waits for its own sheet, the first of a package and the next", async ({ browser, context, url }) => {
  const own = await newContext(browser, { state: await context.storageState() });
  const page = await own.newPage();
  await page.goto(url + "/dash");
  await settled(page);
  await page.route(/\/assets\/[0-9a-f]{64}\/style\.css/, async (route) => {  // longer than a glance
    await new Promise((later) => setTimeout(later, 2000));
    await route.continue();
  });
  for (const [selector, heading] of [["sz-nav li[data-id=sz_marketplace] a", "Marketplace"], ["#card-team_links .cover", "Team links"], ["sz-nav li[data-id=sz_marketplace] a", "Marketplace"], ["sz-nav li[data-id=sz_dash] a", "Dash"]]) {
    await go(page, selector);
    await page.waitForFunction((heading) => document.querySelector("#portico-main h1")?.textContent === heading, heading);
    await settled(page);
  }
  const { shift, which } = await page.evaluate(() => ({ shift: window.layoutShift, which: window.shifted }));
  await own.close();
  assert.equal(shift, 0, which?.join("; "));
});

test("a chosen theme is there before the first paint and stays", async ({ browser, context, url }) => {
  const own = await newContext(browser, { state: await context.storageState() });
  const page = await own.newPage();
  await page.goto(url + "/dash");
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.click("#portico-theme");  // light
  await page.click("#portico-theme");  // dark
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  const dark = await ground();
  assert.notEqual(light, dark);
  await page.goto(url + "/dash", { waitUntil: "commit" });
  await page.waitForFunction(() => document.body);
  assert.equal(await ground(), dark);
  await own.close();
});

test("the whole shell page is at most 25 kB with gzip", async ({ browser, context, url }) => {
  const own = await newContext(browser, { state: await context.storageState() });
  const page = await own.newPage(), asked = new Set();
  page.on("request", (request) => asked.add(request.url()));
  await page.goto(url + "/nothing-is-here");  // the frame and nothing else
  await settled(page);
  const cookie = (await own.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const sizes = [];
  for (const address of asked) {
    if (/\/api\/portal\/events|\/assets\/[0-9a-f]{64}\//.test(address)) continue;  // the stream, and the packages' own pictures
    const answer = await page.request.get(address, { headers: { cookie, accept: "text/html,*/*", "accept-encoding": "gzip" } });
    const body = await answer.body();  // decoded; what the wire carries is measured again the same way
    const wire = Number(answer.headers()["content-encoding"] === "gzip" && answer.headers()["content-length"]) || gzipSync(body, { level: 9 }).length;
    sizes.push([wire, new URL(address).pathname]);
  }
  await own.close();
  const sum = sizes.reduce((total, [size]) => total + size, 0), table = sizes.map(([size, path]) => `${size} ${path}`).join(", ");
  assert.ok(sum <= 25_000, `${sum} bytes: ${table}`);
  return `${sum} bytes: ${table}`;
});
