// What people see, in a real Chromium, against a real portal on a fresh data folder.
//
//   PORTICO_BIN=target/debug/portico node run.mjs [expression that names of tests match]
//
// Pictures of every page go to out/. The last line says how many tests passed and failed.
import { resolve } from "node:path";
import { startPortal } from "./lib/portal.mjs";
import { listen, newContext, out, startBrowser } from "./lib/browser.mjs";
import { run } from "./lib/cases.mjs";
import "./tests/journey.mjs";
import "./tests/dialog.mjs";
import "./tests/undo.mjs";
import "./tests/keyboard.mjs";
import "./tests/attacks.mjs";
import "./tests/looks.mjs";
import "./tests/files.mjs";

// A portal that runs already and lets everybody in can be named instead, to work on the tests themselves.
const portal = process.env.PORTICO_TEST_URL
  ? { url: process.env.PORTICO_TEST_URL, link: process.env.PORTICO_TEST_URL, stop: async () => {}, log: () => "" }
  : await startPortal(resolve(process.env.PORTICO_BIN ?? "../../target/debug/portico"));
const browser = await startBrowser();
const context = await newContext(browser);
const first = await context.newPage(), second = await context.newPage();
const world = {
  url: portal.url, link: portal.link, browser, context, first, second, said: listen(first), saidSecond: listen(second),
  picture: async (name) => {
    const file = name.replace(/\W+/g, "-");
    await Promise.all([first.screenshot({ path: `${out}failed-${file}-1.png` }), second.screenshot({ path: `${out}failed-${file}-2.png` })]);
  },
};
let passed = 0, failed = 1;
try {
  ({ passed, failed } = await run(world, process.argv[2]));
} finally {
  await browser.close();
  await portal.stop();
  if (failed && portal.log()) console.log("--- the portal said\n" + portal.log().split("\n").slice(-40).join("\n"));
  process.exitCode = failed ? 1 : 0;
  console.log(`${passed} passed, ${failed} failed`);
}
