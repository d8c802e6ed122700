import { assertEquals } from "@std/assert";
import { fetchFailure } from "../../../deno27/fetch_error.ts";

Deno.test("a failed fetch is explained by its cause, or where it has none by itself", () => {
  const cause = new Error("os error 13");
  assertEquals(fetchFailure(new TypeError("failed", { cause })), "os error 13");
  assertEquals(fetchFailure(new TypeError("os error 13")), "os error 13");
  assertEquals(fetchFailure("no error"), "");
});
