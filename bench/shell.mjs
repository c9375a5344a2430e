// First visit of the shell: bytes over the wire with gzip, and cumulative layout shift.
import http from "node:http";
import { signedIn, url } from "./lib.mjs";

const GOAL = 25_000; // bytes

const { browser, context, page } = await signedIn();
const cookies = (await context.cookies(url)).map((c) => `${c.name}=${c.value}`).join("; ");
const fresh = await context.newPage();
const loaded = new Map();
fresh.on("response", (response) => loaded.set(response.url(), response.request().resourceType()));
await fresh.addInitScript(() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      window.shifts.push({
        value: entry.value,
        of: entry.sources?.map((s) => s.node?.id || s.node?.className || s.node?.nodeName),
      });
    }
  }).observe({ type: "layout-shift", buffered: true });
});
await fresh.goto(`${url}/dash`, { waitUntil: "load" });
await fresh.waitForTimeout(1500);
const shifts = await fresh.evaluate(() => window.shifts);
await browser.close();

/** Bytes of the body as it travels, and of its headers. */
const weigh = (address) =>
  new Promise((done, failed) => {
    const asked = http.get(address, { headers: { "accept-encoding": "gzip", cookie: cookies } }, (answer) => {
      if (String(answer.headers["content-type"]).startsWith("text/event-stream")) {
        asked.destroy();
        return done({ body: 0, headers: 0 });
      }
      const headers = answer.rawHeaders.reduce((sum, part) => sum + part.length + 2, 17);
      let body = 0;
      answer.on("data", (chunk) => (body += chunk.length));
      answer.on("end", () => done({ body, headers }));
    });
    asked.on("error", failed);
  });

const parts = [];
for (const [address, type] of loaded) {
  if (!address.startsWith(url) || type === "eventsource") continue;
  parts.push({ path: address.slice(url.length), type, ...(await weigh(address)) });
}
parts.sort((a, b) => b.body - a.body);
const bytes = parts.reduce((sum, part) => sum + part.body, 0);
const headers = parts.reduce((sum, part) => sum + part.headers, 0);
const cls = shifts.reduce((sum, shift) => sum + shift.value, 0);
for (const part of parts) console.log(`${String(part.body).padStart(7)}  ${part.type.padEnd(10)} ${part.path}`);
console.log(`${String(bytes).padStart(7)}  in all, goal ${GOAL} (and ${headers} of headers); layout shift ${cls.toFixed(4)}, goal 0`);
const missed = [];
if (bytes > GOAL) missed.push(`shell: ${bytes} bytes, goal ${GOAL}`);
if (cls > 0) missed.push(`shell: layout shift ${cls.toFixed(4)} (${JSON.stringify(shifts)})`);
console.log(JSON.stringify({ bytes, headers, cls, parts, shifts, goal_bytes: GOAL, missed }));
