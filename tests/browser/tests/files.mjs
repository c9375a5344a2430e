import { test, assert } from "../lib/cases.mjs";
import { checkVendored } from "../vendor.mjs";

test("vendored files are byte for byte as locked", () => {
  const { files, wrong } = checkVendored();
  assert.deepEqual(wrong, []);
  assert.ok(files.length >= 3);
});
