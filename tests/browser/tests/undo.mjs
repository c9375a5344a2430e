// Undo is the reverse plan, shown and approved like any other: it gives nothing back by itself.
import { test, assert } from "../lib/cases.mjs";

const dialog = ".portico-dialog";

test("undo after a removal asks for the same version and settings again and grants nothing by itself", async ({ context, url }) => {
  const page = await context.newPage();
  await page.goto(`${url}/marketplace/p/team_links`);
  const headers = { "x-portico-csrf": await page.getAttribute("meta[name=portico-csrf]", "content"), origin: url };
  const config = { note: "Set by a person." };
  const plan = await (await page.request.post(url + "/api/portal/microsites/plan", { data: { microsite_id: "team_links", config }, headers })).json().then((answer) => answer.plan ?? answer);
  const approve = plan.changes.flatMap((change) => change.permissions.map((ask) => ask.permission));
  const put = await page.request.post(url + "/api/portal/microsites/install", { data: { microsite_id: "team_links", config, approve, lock: plan.lock }, headers });
  assert.equal(put.status(), 200, await put.text());
  const { installed: before } = await (await page.request.get(url + "/api/portal/microsites/team_links")).json();
  await page.goto(`${url}/marketplace/p/team_links`);
  await page.click("button:has-text('Remove')");
  await page.click(`${dialog} button:text-is('Remove')`);
  let installs = 0, planned;
  page.on("request", (request) => {
    if (request.url().endsWith("/microsites/install")) installs += 1;
    if (request.url().endsWith("/microsites/plan")) planned = request.postDataJSON();
  });
  await page.click("#portico-toasts button:text-is('Undo')");
  await page.waitForSelector(`${dialog} .portico-box`);
  assert.equal(installs, 0);
  assert.equal(planned.verb, "install");
  assert.equal(planned.version, before.version);
  assert.equal(before.config.note, config.note);
  assert.deepEqual(planned.config, before.config);
  await page.click(`${dialog} button:has-text('Approve and install')`);
  await page.waitForSelector(`${dialog} a:has-text('Open')`);
  const { installed: after } = await (await page.request.get(url + "/api/portal/microsites/team_links")).json();
  assert.deepEqual([after.version, after.permissions, after.config], [before.version, before.permissions, before.config]);
  const gone = await page.request.delete(url + "/api/portal/microsites/team_links", { headers });
  assert.equal(gone.status(), 200, await gone.text());
  await page.close();
});

test("undo after an upgrade shows the plan back to the version before", async ({ context, url }) => {
  const page = await context.newPage();
  await page.goto(`${url}/marketplace`);
  const headers = { "x-portico-csrf": await page.getAttribute("meta[name=portico-csrf]", "content"), origin: url };
  const asked = { microsite_id: "logstream_analytics", version: "2.1.0" };
  const plan = await (await page.request.post(url + "/api/portal/microsites/plan", { data: asked, headers })).json().then((answer) => answer.plan ?? answer);
  const approve = plan.changes.flatMap((change) => change.permissions.map((ask) => ask.permission));
  const put = await page.request.post(url + "/api/portal/microsites/install", { data: { ...asked, approve, lock: plan.lock }, headers });
  assert.equal(put.status(), 200, await put.text());
  await page.goto(`${url}/marketplace/p/logstream_analytics`);
  await page.click("#market-package button:has-text('Upgrade')");
  await page.click(`${dialog} button:has-text('Approve and upgrade')`);
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.url().endsWith("/microsites/plan")),
    page.click(`${dialog} button:text-is('Undo')`),
  ]);
  assert.deepEqual([request.postDataJSON().verb, request.postDataJSON().version], ["rollback", "2.1.0"]);
  await page.click(`${dialog} button:text-is('Roll back')`);
  await page.waitForSelector(`${dialog} h2:has-text('is rolled back')`);
  const { installed } = await (await page.request.get(url + "/api/portal/microsites/logstream_analytics")).json();
  assert.equal(installed.version, "2.1.0");
  for (const change of plan.changes.toReversed()) await page.request.delete(url + "/api/portal/microsites/" + change.package, { headers });
  await page.close();
});
