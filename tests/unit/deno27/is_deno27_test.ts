import { assertEquals } from "@std/assert";
import { isDeno27 } from "../../../deno27/is_deno27.ts";

Deno.test("only a Deno before 2.9 has the faults of 2.7", () => {
  assertEquals(["2.7.11", "2.8.0", "1.46.3"].map(isDeno27), [
    true,
    true,
    true,
  ]);
  assertEquals(["2.9.0", "2.10.1", "3.0.0"].map(isDeno27), [
    false,
    false,
    false,
  ]);
});
