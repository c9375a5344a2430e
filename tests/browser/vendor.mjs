// Checks that every vendored file of the shell is byte for byte the one of its locked npm package.
//
//   node vendor.mjs            compares the files with vendor.lock.json, offline
//   node vendor.mjs --fetch    packs the named versions again with npm and compares those bytes too
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../crates/portico-web/assets/vendor/", import.meta.url));
const digest = (bytes) => "sha384-" + createHash("sha384").update(bytes).digest("base64");

export function checkVendored() {
  const { files } = JSON.parse(readFileSync(join(folder, "vendor.lock.json"), "utf8"));
  const wrong = [];
  for (const { file, sha384 } of files) {
    const found = digest(readFileSync(join(folder, file)));
    if (found !== sha384) wrong.push(`${file}: locked ${sha384}, found ${found}`);
  }
  const locked = new Set([...files.map((f) => f.file), "vendor.lock.json"]);
  for (const name of readdirSync(folder)) if (!locked.has(name)) wrong.push(`${name}: not in vendor.lock.json`);
  return { files, wrong };
}

function fetchAgain(files) {
  const scratch = mkdtempSync(join(tmpdir(), "portico-vendor-"));
  try {
    const wrong = [];
    for (const spec of new Set(files.map((f) => `${f.package}@${f.version}`))) {
      const archive = execFileSync("npm", ["pack", "--silent", spec], { cwd: scratch, encoding: "utf8" }).trim();
      execFileSync("tar", ["xzf", archive], { cwd: scratch });
      for (const f of files.filter((f) => `${f.package}@${f.version}` === spec)) {
        const found = digest(readFileSync(join(scratch, "package", f.path)));
        if (found !== f.sha384) wrong.push(`${spec} ${f.path}: locked ${f.sha384}, published ${found}`);
      }
      rmSync(join(scratch, "package"), { recursive: true });
    }
    return wrong;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { files, wrong } = checkVendored();
  if (process.argv.includes("--fetch")) wrong.push(...fetchAgain(files));
  for (const line of wrong) console.error(line);
  console.log(wrong.length ? "vendored files differ" : `${files.length} vendored files are as locked`);
  process.exitCode = wrong.length ? 1 : 0;
}
