// What hostile code would try once it is in a page. Every attempt must stay blocked by the two policies that each document carries.
import { createServer } from "node:http";
import { test, assert } from "../lib/cases.mjs";

/** Another origin that would serve code to anybody. */
async function elsewhere() {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { "content-type": "text/javascript", "access-control-allow-origin": "*" });
    response.end("globalThis.pwned = 'elsewhere'; export default 1;");
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `http://127.0.0.1:${server.address().port}`, asked, close: () => server.close() };
}

// Tried from a timer of the page itself: what a debugger evaluates may use eval, pages may not.
const EVALUATE = `
function evaluate() {
  const attempt = (body) => { try { body(); return "no error"; } catch (error) { return error.name; } };
  return new Promise((done) => setTimeout(() => done({ eval: attempt(() => (0, eval)("globalThis.pwned = 'eval'")), Function: attempt(() => new Function("globalThis.pwned = 'Function'")()),
    timer: attempt(() => setTimeout("globalThis.pwned = 'timer'")) })));
}`;

/** A page whose own, trusted shell module was taken over: it tries what it is told with all its trust. */
async function takenOver(context, url) {
  const page = await context.newPage();
  await page.route("**/*-shell.js", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()) + "\nglobalThis.attack = { load: (address) => import(address), evaluate };" + EVALUATE });
  });
  await page.goto(url + "/dash");
  await page.waitForFunction(() => globalThis.attack);
  return page;
}

test("every document carries both policies and no other document may frame it", async ({ first, url }) => {
  for (const path of ["/dash", "/marketplace", "/nothing-is-here"]) {
    const answer = await first.goto(url + path);
    const policies = (await answer.headersArray()).filter(({ name }) => name.toLowerCase() === "content-security-policy").flatMap(({ value }) => value.split(/,\s*(?=script-src )/));
    assert.equal(policies.length, 2, `${path}: ${policies.join(" | ")}`);
    const [one, two] = policies;
    for (const part of ["default-src 'none'", "'strict-dynamic'", "script-src-attr 'none'", "style-src-attr 'none'", "require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'", "form-action 'self'"]) assert.ok(one.includes(part), `${path}: no ${part}`);
    for (const never of ["unsafe-inline", "unsafe-eval", "*"]) assert.ok(!policies.join().includes(never), `${path}: ${never}`);
    assert.match(two, /^script-src https?:\/\/[^ ;]+\/assets\//);
    const nonce = one.match(/'nonce-([^']+)'/)[1];
    assert.ok(nonce.length >= 16);
    assert.ok(!(await (await first.goto(url + path)).allHeaders())["content-security-policy"].includes(nonce), "a nonce was used twice");
  }
});

test("the shell's own module cannot import from elsewhere, from data: or from blob:", async ({ context, url }) => {
  const other = await elsewhere(), page = await takenOver(context, url);
  const tries = {
    "another origin": other.url + "/x.js",
    "data:": "data:text/javascript,globalThis.pwned='data'",
    "this origin outside /assets/": url + "/api/portal/config",
  };
  for (const [name, address] of Object.entries(tries)) {
    assert.equal(await page.evaluate((address) => globalThis.attack.load(address).then(() => "loaded", () => "blocked"), address), "blocked", name);
  }
  const blob = await page.evaluate(() => globalThis.attack.load(URL.createObjectURL(new Blob(["globalThis.pwned='blob'"], { type: "text/javascript" }))).then(() => "loaded", () => "blocked"));
  assert.equal(blob, "blocked", "blob:");
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  assert.deepEqual(other.asked, [], "the other origin was asked");
  other.close();
  await page.close();
});

test("script elements, markup as text, event attributes and eval do nothing", async ({ context, url }) => {
  const other = await elsewhere(), page = await takenOver(context, url);
  const did = await page.evaluate(async (address) => {
    const tried = {}, attempt = (name, body) => { try { body(); tried[name] = "no error"; } catch (error) { tried[name] = error.name; } };
    const nonce = document.querySelector("script[nonce]").nonce;
    attempt("text", () => { const script = document.createElement("script"); script.nonce = nonce; script.textContent = "globalThis.pwned = 'text'"; document.head.append(script); });
    attempt("text node", () => { const script = document.createElement("script"); script.nonce = nonce; script.append("globalThis.pwned = 'text node'"); document.head.append(script); });
    attempt("src", () => { const script = document.createElement("script"); script.nonce = nonce; script.src = address; document.head.append(script); });
    attempt("innerHTML", () => { document.body.innerHTML += "<img src=x onerror=\"globalThis.pwned='img'\">"; });
    attempt("insertAdjacentHTML", () => { document.body.insertAdjacentHTML("beforeend", "<b onclick=x>"); });
    attempt("document.write", () => { document.write("<script>globalThis.pwned=1</script>"); });
    attempt("policy", () => { trustedTypes.createPolicy("mine", { createHTML: (text) => text }); });
    attempt("handler", () => { const button = document.createElement("button"); button.setAttribute("onclick", "globalThis.pwned = 'handler'"); document.body.append(button); button.click(); });
    attempt("javascript:", () => { const a = document.createElement("a"); a.href = "javascript:globalThis.pwned='url'"; document.body.append(a); a.click(); });
    attempt("style", () => { const p = document.createElement("p"); p.setAttribute("style", "position: fixed"); document.body.append(p); tried.position = getComputedStyle(p).position; });
    attempt("frame", () => { const frame = document.createElement("iframe"); frame.src = address; document.body.append(frame); });
    await new Promise((next) => setTimeout(next, 400));
    await fetch(address).then(() => { tried.fetch = "answered"; }, () => { tried.fetch = "blocked"; });
    Object.assign(tried, await globalThis.attack.evaluate());
    return { ...tried, pwned: globalThis.pwned };
  }, other.url + "/y.js");
  assert.equal(did.pwned, undefined, JSON.stringify(did));
  for (const name of ["text", "src", "innerHTML", "insertAdjacentHTML", "document.write", "policy"]) assert.equal(did[name], "TypeError", `${name}: ${did[name]}`);
  for (const name of ["eval", "Function", "timer"]) assert.match(did[name], /^(EvalError|TypeError)$/, name);
  assert.equal(did.position, "static", "a style attribute was applied");
  assert.equal(did.fetch, "blocked");
  assert.deepEqual(other.asked, [], "the other origin was asked");
  other.close();
  await page.close();
});

/** Opens the marketplace, then lets the next search answer with a fragment that somebody made. */
async function injected(context, url, fragment, headers = {}) {
  const page = await context.newPage();
  await page.goto(url + "/marketplace");
  await page.route("**/marketplace/search**", (route) => route.fulfill({ status: 200, contentType: "text/html", headers, body: `<title>x</title><main><div id="market-results" data-evil="1">${fragment}</div></main>` }));
  const asked = [];
  page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await page.fill("#market-q", "evil");
  // A fragment that htmx may not even build (a script address is not a trusted one) never arrives; that is blocked, too.
  await page.waitForSelector("#market-results[data-evil]", { state: "attached", timeout: 2000 }).catch(() => {});
  await page.waitForTimeout(300);
  return { page, asked };
}

test("a fragment's script does not run, with a nonce of its own or without", async ({ context, url }) => {
  for (const [fragment, headers] of [
    ["<script>globalThis.pwned = 1</script>", {}],
    ["<script nonce=\"evil\">globalThis.pwned = 1</script>", { "content-security-policy": "script-src 'nonce-evil'" }],
    ["<script nonce=\"evil\" src=\"data:text/javascript,globalThis.pwned=1\"></script>", { "content-security-policy": "script-src 'nonce-evil'" }],
    ["<img src=x onerror=\"globalThis.pwned = 1\"><svg onload=\"globalThis.pwned = 1\"></svg>", {}],
    ["<b hx-on:click=\"globalThis.pwned = 1\" hx-nonce=\"evil\" id=\"evil-b\">x</b>", { "content-security-policy": "script-src 'nonce-evil'" }],
  ]) {
    const { page } = await injected(context, url, fragment, headers);
    if (fragment.includes("evil-b")) await page.click("#evil-b");  // a real click: what a debugger clicks may use eval
    await page.waitForTimeout(100);
    assert.equal(await page.evaluate(() => globalThis.pwned), undefined, fragment);
    await page.close();
  }
});

test("an element without the page's nonce makes no request", async ({ context, url }) => {
  const { page, asked } = await injected(context, url, '<i hx-get="/api/portal/audit" hx-trigger="load"></i><i hx-post="/api/portal/microsites/install" hx-trigger="load" hx-vals=\'{"microsite_id":"team_links"}\' hx-nonce="guess"></i>');
  assert.deepEqual(asked.filter((one) => one.includes("/api/portal/audit") || one.includes("/install")), []);
  assert.equal(await page.locator("#market-results [hx-get], #market-results [hx-post]").count(), 0, "the attributes were not stripped");
  await page.close();
});

test("a promoted element cannot install anything: the request lacks what only the shell holds", async ({ context, url }) => {
  const { page, asked } = await injected(context, url, '<i hx-post="/api/portal/microsites/install" hx-trigger="load" hx-vals=\'{"microsite_id":"logstream_analytics"}\' hx-nonce="evil"></i>', { "content-security-policy": "script-src 'nonce-evil'" });
  await page.waitForTimeout(400);
  assert.ok(asked.includes("POST /api/portal/microsites/install"), "this attack was expected to reach the portal");
  assert.equal(await page.locator("sz-nav li[data-id=logstream_analytics]").count(), 0);
  const installed = await (await page.request.get(url + "/api/portal/microsites")).json();
  assert.ok(!installed.installed.some((one) => one.id === "logstream_analytics"));
  await page.close();
});

test("a fragment cannot press the shell's buttons or open its dialog", async ({ context, url }) => {
  const { page } = await injected(context, url, '<button data-portico="sign-out" id="evil-out">x</button><button data-portico="intent" data-portico-intent=\'{"verb":"uninstall","microsite_id":"sz_dash"}\' id="evil-ask">x</button><div data-portico-intent=\'{"verb":"uninstall","microsite_id":"sz_dash"}\'></div>');
  const before = page.url();
  await page.click("#evil-out");
  await page.click("#evil-ask");
  await page.waitForTimeout(400);
  assert.equal(page.url().split("?")[0], before.split("?")[0]);
  assert.equal(await page.locator(".portico-dialog").count(), 0);
  await page.close();
});

test("another origin cannot act with this person's session", async ({ context, url }) => {
  const page = await context.newPage();
  const other = createServer((_, response) => { response.writeHead(200, { "content-type": "text/html" }); response.end(`<form method="post" action="${url}/marketplace/install"><input name="microsite_id" value="logstream_analytics"></form><form id="api" method="post" enctype="text/plain" action="${url}/api/portal/microsites/install"><input name='{"microsite_id":"logstream_analytics","x":"' value='"}'></form>`); });
  await new Promise((ready) => other.listen(0, "127.0.0.1", ready));
  const from = `http://localhost:${other.address().port}/`;
  await page.goto(from);
  const answer = await Promise.all([page.waitForResponse((response) => response.url().startsWith(url)), page.evaluate(() => document.getElementById("api").submit())]);
  assert.ok(answer[0].status() >= 400, `the API answered ${answer[0].status()}`);
  const tried = await page.request.get(url + "/api/portal/microsites");
  assert.ok(!(await tried.json()).installed.some((one) => one.id === "logstream_analytics"));
  other.close();
  await page.close();
});
