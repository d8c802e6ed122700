import { assertEquals, assertThrows } from "@std/assert";
import { dataPathStart } from "../../../../bench/paths/started_event.ts";

function line(fields: Record<string, unknown>): string {
  return JSON.stringify({ level: "info", event: "backend.started", ...fields });
}

Deno.test("the last start in the log counts", () => {
  const log = [
    line({ dataPath: "tun", device: "flannel0" }),
    "not JSON",
    line({ dataPath: "ebpf", receive: "xdp", loadMs: 8.5, device: "flannel0" }),
    '{"event":"agent.ready"}',
  ].join("\n");
  assertEquals(dataPathStart(log), {
    dataPath: "ebpf",
    receive: "xdp",
    loadMs: 8.5,
  });
});

Deno.test("the data path in user space loads nothing", () => {
  assertEquals(dataPathStart(line({ dataPath: "tun" })), { dataPath: "tun" });
});

Deno.test("a log without a start is an error", () => {
  assertThrows(
    () => dataPathStart('{"event":"agent.ready"}'),
    Error,
    "backend.started",
  );
});
