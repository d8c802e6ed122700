import { assertEquals, assertThrows } from "@std/assert";
import { dataPathStart } from "../../../../bench/paths/started_event.ts";

function line(event: string, fields: Record<string, unknown>): string {
  return JSON.stringify({ level: "info", event, ...fields });
}

Deno.test("the last start in the log counts, and the last receive mode", () => {
  const log = [
    line("backend.receive", { device: "eth0", mode: "direct" }),
    line("backend.started", { dataPath: "ebpf", loadMs: 20 }),
    "not JSON",
    line("backend.receive", { device: "eth0", mode: "gro" }),
    line("backend.started", { dataPath: "ebpf", loadMs: 8.5 }),
    line("backend.receive", { device: "eth0", mode: "xdp" }),
    line("agent.ready", {}),
  ].join("\n");
  assertEquals(dataPathStart(log), {
    dataPath: "ebpf",
    receive: "xdp",
    loadMs: 8.5,
  });
});

Deno.test("the data path in user space loads nothing, whatever ran before it", () => {
  const log = [
    line("backend.receive", { device: "eth0", mode: "direct" }),
    line("backend.started", { dataPath: "tun" }),
  ].join("\n");
  assertEquals(dataPathStart(log), { dataPath: "tun" });
});

Deno.test("a log without a start is an error", () => {
  assertThrows(
    () => dataPathStart(line("agent.ready", {})),
    Error,
    "backend.started",
  );
});
