import { assertEquals, assertThrows } from "@std/assert";
import { systemdTimestampMs } from "../../../../bench/docker/unit_start.ts";

Deno.test("systemd's time of a start is read to the microsecond", () => {
  assertEquals(
    systemdTimestampMs("Thu 1970-01-01 00:01:02.345678 UTC\n"),
    62_345.678,
  );
});

for (const text of ["", "n/a\n", "Thu 1970-01-01 00:01:02 UTC\n"]) {
  Deno.test(`${JSON.stringify(text)} is no time of a start`, () => {
    assertThrows(() => systemdTimestampMs(text), Error, "in UTC");
  });
}
