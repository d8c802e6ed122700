import { assertEquals } from "@std/assert";
import { brokenRow, rowOf, tableOf } from "../../kernels/two_hosts.ts";

const GOOD = {
  container: "10.1.5.2",
  path: "ebpf",
  receive: "gro",
  attach: "tcx",
  ping: "0",
  largest: "0",
  larger: "refused",
  fragments: "0",
  tcp: "250",
  tcp_back: "240",
  udp: "2.00",
  udp_back: "1.99",
  life: "0",
};
const rowFrom = (change: Record<string, string>, mode = ["ebpf", "gro"]) =>
  rowOf("virtio", mode as [string, string], { ...GOOD, ...change });

Deno.test("a mode in which all packets arrive has no fault", () => {
  assertEquals(rowFrom({}), {
    card: "virtio",
    mode: "ebpf gro",
    runs: "gro by tcx",
    tcp: "250 / 240",
    udp: "2.00 / 1.99",
    lostInRestart: "0 %",
    faults: [],
  });
});

Deno.test("each thing that does not arrive is a fault", () => {
  const faults = (change: Record<string, string>) => rowFrom(change).faults;
  assertEquals(faults({ ping: "20" }), ["ping: 20"]);
  assertEquals(faults({ largest: "100" }), ["largest: 100"]);
  assertEquals(faults({ larger: "answered" }), ["larger: answered"]);
  assertEquals(faults({ fragments: "" }), ["fragments: "]);
  assertEquals(faults({ tcp_back: "" }), ["tcp_back: nothing arrived"]);
  assertEquals(faults({ udp: "0" }), ["udp: nothing arrived"]);
  assertEquals(faults({ path: "tun" }), ["data path: tun"]);
  assertEquals(faults({ life: "3" }), ["kill and start: 3 % lost"]);
});

Deno.test("packets in user space are lost while no agent runs", () => {
  const { faults, mode } = rowFrom({ path: "tun", life: "12" }, ["tun", ""]);
  assertEquals({ faults, mode }, { faults: [], mode: "tun" });
});

Deno.test("the table has a line for each mode", () => {
  const kernel = "6.12.1";
  const table = tableOf([
    { ...rowFrom({}), kernel },
    { ...brokenRow("e1000e", "it did not boot"), kernel },
  ]);
  assertEquals(table.split("\n").slice(2), [
    "| 6.12.1 | virtio | ebpf gro | gro by tcx | 250 / 240 | 2.00 / 1.99 | 0 % | passed |",
    "| 6.12.1 | e1000e |  |  |  |  |  | it did not boot |",
  ]);
});
