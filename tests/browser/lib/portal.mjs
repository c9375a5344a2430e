// Starts a portal on a fresh data folder and tells its address and its one-time sign-in link.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function startPortal(binary) {
  const data = mkdtempSync(join(tmpdir(), "portico-browser-"));
  const child = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "pipe"], cwd: data });
  let out = "", err = "";
  child.stdout.on("data", (chunk) => { out += chunk; });
  child.stderr.on("data", (chunk) => { err += chunk; });
  const stop = async () => {
    if (child.exitCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(late);
    }
    rmSync(data, { recursive: true, force: true });
  };
  const until = Date.now() + 60_000;
  for (;;) {
    const url = out.match(/^ready (http\S+)/m)?.[1]?.replace(/\/$/, ""), link = err.match(/https?:\/\/\S*\/auth\/\S+/)?.[0];
    if (url && link) return { url, link, stop, log: () => err };
    if (child.exitCode !== null || Date.now() > until) {
      await stop();
      throw new Error(`the portal did not become ready\n--- stdout\n${out}\n--- stderr\n${err}`);
    }
    await new Promise((next) => setTimeout(next, 50));
  }
}
