import { assertEquals, assertThrows } from "@std/assert";
import { LodenError } from "../../../errors.ts";
import { onlineCpus, parseCpuList } from "../../../linux/cpu_list.ts";

Deno.test("processors are read from ranges and single numbers", () => {
  assertEquals(parseCpuList("0\n", "list"), [0]);
  assertEquals(parseCpuList("0-1,4,8-9\n", "list"), [0, 1, 4, 8, 9]);
});

Deno.test("what is no list of processors is refused with its file", () => {
  const error = assertThrows(() => parseCpuList("\n", "online"), LodenError);
  assertEquals(error.code, "linux.cpu-list");
  assertEquals(error.message.includes("online must be a list"), true);
  for (const text of ["0-99999999999", "8192", "0-3,1e9"]) {
    assertThrows(() => parseCpuList(text, "online"), LodenError);
  }
  assertEquals(parseCpuList("3-0", "online"), []);
});

Deno.test("processors that run are counted, whatever this process may use", () => {
  assertEquals(onlineCpus("0-63\n"), 64);
  assertEquals(onlineCpus("0-2,4\n"), 4);
});
