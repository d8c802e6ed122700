/**
 * Everything that reads what others wrote, with many more random cases than the
 * suite has.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { attempt } from "../../tools/command.ts";
import { FUZZ_VARIABLE } from "../support/fuzz_cases.ts";
import { OTHER_PROPERTIES } from "../support/parsers.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const CASES = "100000";

for (const file of ["tests/unit/parsers_test.ts", ...OTHER_PROPERTIES]) {
  Deno.test(`${CASES} cases of ${file}`, async () => {
    const { exitCode, stderr, stdout } = await attempt(
      [Deno.execPath(), "test", "--no-check", "-A", ROOT + file],
      { env: { [FUZZ_VARIABLE]: CASES } },
    );
    assertEquals(exitCode, 0, stdout + stderr);
  });
}
