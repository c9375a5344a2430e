// The smallest test runner that says what failed and goes on.
import assert from "node:assert/strict";

const cases = [];
export const test = (name, body) => cases.push({ name, body });
export { assert };

export async function run(world, only) {
  let passed = 0, failed = 0;
  for (const { name, body } of cases) {
    if (only && !new RegExp(only).test(name)) continue;
    const began = performance.now();
    try {
      const remark = await withLimit(body(world), 90_000);
      passed += 1;
      console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)${remark ? ": " + remark : ""}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n      ${String(error.stack ?? error).split("\n").slice(0, 12).join("\n      ")}`);
      await world.picture?.(name).catch(() => {});
    }
  }
  return { passed, failed };
}

function withLimit(promise, limit) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`took longer than ${limit / 1000} s`)), limit); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
