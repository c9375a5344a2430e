// The approval dialog when things do not go as hoped. What the portal answers is bent on the way.
import { test, assert } from "../lib/cases.mjs";

const dialog = ".portico-dialog";

async function ask(page, url, id) {
  await page.goto(`${url}/marketplace/p/${id}`);
  await page.click("#market-package button:text-is('Install')");
  await page.waitForSelector(`${dialog} .portico-box`);
}

test("a plan that changed is shown again and nothing is done", async ({ context, url }) => {
  const page = await context.newPage();
  let bent = 0;
  await page.route("**/api/portal/microsites/install", async (route) => {
    bent += 1;
    const plan = await (await page.request.post(url + "/api/portal/microsites/plan", {
      data: { verb: "install", microsite_id: "team_links" }, headers: { "x-portico-csrf": await page.getAttribute("meta[name=portico-csrf]", "content"), origin: url },
    })).json();
    await route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify({ code: "plan-changed", title: "The plan changed", status: 409, plan }) });
  });
  await ask(page, url, "team_links");
  await page.click(`${dialog} button:has-text('Approve and install')`);
  await page.waitForSelector(`${dialog} .portico-note:has-text('The plan changed since you looked')`);
  assert.equal(bent, 1);
  assert.ok(await page.isEnabled(`${dialog} button:has-text('Approve and install')`));
  await page.close();
});

test("optional permissions can be refused one by one", async ({ context, url }) => {
  const page = await context.newPage();
  let sent;
  await page.route("**/api/portal/microsites/plan", async (route) => {
    const answer = await route.fetch(), plan = await answer.json();
    const asks = plan.changes.at(-1).permissions;
    for (const permission of ["api:schedules:read", "http:outbound"]) asks.push({ permission, summary: `May use ${permission}`, group: "reads", optional: true, status: "new", delegable: true });
    await route.fulfill({ response: answer, json: plan });
  });
  await page.route("**/api/portal/microsites/install", async (route) => {
    sent = route.request();
    await route.fulfill({ status: 400, contentType: "application/problem+json", body: JSON.stringify({ code: "bad-signature", title: "The signature is wrong", detail: "No trusted key signed team_links 1.0.0.", status: 400, instance: "request-7" }) });
  });
  await ask(page, url, "team_links");
  await page.uncheck(`${dialog} .portico-ask:has-text('http:outbound') input`);
  await page.click(`${dialog} button:has-text('Approve and install')`);
  const note = page.locator(`${dialog} .portico-note.failed`);
  await note.waitFor();
  assert.deepEqual(sent.postDataJSON().approve, ["api:schedules:read"]);
  assert.match(sent.postDataJSON().lock, /^\S{16,}$/);
  assert.ok(sent.headers()["x-portico-csrf"] && sent.headers()["idempotency-key"]);
  assert.equal(sent.headers().prefer, "respond-async");
  assert.match(await note.innerText(), /No trusted key signed team_links 1\.0\.0\.[\s\S]*Nothing was changed/);
  await page.waitForSelector(`${dialog} button:has-text('Copy details')`);
  await page.close();
});

test("a failed operation names its step and reason and can be tried again", async ({ context, url }) => {
  const page = await context.newPage();
  const failed = { id: "bent", verb: "install", microsite_id: "team_links", state: "failed", steps: [{ step: "resolve", state: "done" }, { step: "fetch", state: "done" }, { step: "verify", state: "failed" }], error: { code: "digest-mismatch", message: "The archive is not the one that was signed.", step: "verify" } };
  let retried = 0;
  await page.route("**/api/portal/microsites/install", (route) => route.fulfill({ status: 202, json: { ...failed, state: "queued", error: null, steps: [] } }));
  await page.route("**/api/portal/operations/bent", (route) => route.fulfill({ json: failed }));
  await page.route("**/api/portal/operations/bent/retry", (route) => { retried += 1; return route.fulfill({ status: 202, json: { ...failed, state: "queued", error: null, steps: [] } }); });
  await ask(page, url, "team_links");
  await page.click(`${dialog} button:has-text('Approve and install')`);
  const note = page.locator(`${dialog} .portico-note.failed`);
  await note.waitFor();
  assert.match(await note.innerText(), /Verify: The archive is not the one that was signed\.[\s\S]*Nothing was changed/);
  assert.equal(await page.getAttribute(`${dialog} li[data-step=verify]`, "data-state"), "failed");
  await page.click(`${dialog} button:has-text('Try again')`);
  await note.waitFor();
  assert.equal(retried, 1);
  await page.close();
});

test("losing the portal is said, and finding it again too", async ({ context, url }) => {
  const page = await context.newPage();
  await page.goto(url + "/dash");
  await context.setOffline(true);
  await page.waitForSelector("#portico-offline:not([hidden])");
  await context.setOffline(false);
  await page.waitForSelector("#portico-offline", { state: "hidden" });
  await page.close();
});

test("a form without scripts' help still reaches the dialog", async ({ browser, context, url }) => {
  const page = await context.newPage();
  await page.goto(url + "/marketplace/p/team_links");
  await page.evaluate(() => {  // as a browser does in which htmx did not load
    const form = document.querySelector("#market-package form");
    const plain = form.cloneNode(true);
    for (const { name } of [...plain.attributes]) if (name.startsWith("hx-")) plain.removeAttribute(name);
    form.replaceWith(plain);
    plain.querySelector("button").click();
  });
  await page.waitForSelector(`${dialog} .portico-box`);
  assert.match(await page.textContent(`${dialog} h2`), /Install Team links/);
  assert.ok(browser.isConnected());
  await page.close();
});
