import { assertEquals } from "@std/assert";
import type { CardName } from "../../kernels/cards.ts";
import type { Mode } from "../../kernels/modes.ts";
import {
  brokenRow,
  cellsOf,
  cleanedRows,
  HEAD,
  rowOf,
} from "../../kernels/rows.ts";

const GOOD = {
  container: "10.1.5.2",
  path: "ebpf",
  receive: "gro",
  attach: "tcx",
  attach_lost: "0",
  attach_gap: "0.3",
  ping: "0",
  largest: "0",
  larger: "refused",
  fragments: "0",
  tcp: "250",
  tcp_back: "240",
  udp: "2.00",
  udp_back: "1.99",
  life: "0",
  after_life: "0",
  down_gap: "2.4",
  rings_gap: "refused",
};

const rowFrom = (
  change: Record<string, string>,
  { card = "virtio", mode = ["auto", "auto"], release = "6.12.1" }: {
    card?: CardName;
    mode?: Mode;
    release?: string;
  } = {},
) => rowOf({ card, mode, release }, { ...GOOD, ...change });

Deno.test("a mode in which all packets arrive has no fault", () => {
  assertEquals(rowFrom({}), {
    card: "virtio",
    startedWith: "--datapath=auto",
    runs: "gro by tcx",
    tcp: "250 / 240",
    queues: "one",
    lostAtStart: "0 in 0.3 s",
    lostInRestart: "0",
    gaps: "2.4 / refused",
    faults: [],
    notes: [],
  });
});

Deno.test("each thing that does not arrive is a fault", () => {
  const faults = (change: Record<string, string>) => rowFrom(change).faults;
  assertEquals(faults({ ping: "20" }), ["ping: 20"]);
  assertEquals(faults({ largest: "100" }), ["largest: 100"]);
  assertEquals(faults({ larger: "0 % lost" }), ["larger: 0 % lost"]);
  assertEquals(faults({ fragments: "" }), ["fragments: "]);
  assertEquals(faults({ tcp_back: "" }), ["tcp_back: nothing arrived"]);
  assertEquals(faults({ udp: "" }), ["udp: none of 2 Mbit/s arrived"]);
  assertEquals(faults({ udp_back: "1.2" }), [
    "udp_back: 1.2 of 2 Mbit/s arrived",
  ]);
  assertEquals(faults({ path: "tun" }), ["data path: tun"]);
  assertEquals(faults({ life: "3" }), ["kill and start: 3 lost"]);
  assertEquals(faults({ after_life: "100" }), ["after_life: 100"]);
  assertEquals(faults({ down_gap: "all" }), ["down_gap: no packet for all s"]);
  assertEquals(faults({ rings_gap: "31.0" }), [
    "rings_gap: no packet for 31.0 s",
  ]);
});

Deno.test("packets in user space are lost while no agent runs, and take one queue", () => {
  const { faults, runs } = rowFrom(
    { path: "tun", life: "12", queues: "900 2" },
    { mode: ["tun", "auto"] },
  );
  assertEquals({ faults, runs }, { faults: [], runs: "tun" });
});

Deno.test("an agent must receive as the card can, by the hook that the kernel has", () => {
  const xdp = { mode: ["ebpf", "xdp"] as const };
  assertEquals(rowFrom({}, xdp).faults, ["receives by gro"]);
  assertEquals(rowFrom({ receive: "xdp" }, xdp).faults, []);
  assertEquals(rowFrom({}, { ...xdp, card: "e1000e" }).faults, []);
  const vmxnet3 = { ...xdp, card: "vmxnet3" } as const;
  assertEquals(
    rowFrom({ attach: "clsact" }, { ...vmxnet3, release: "6.5.0-1" }).faults,
    [],
  );
  assertEquals(rowFrom({}, vmxnet3).faults, ["receives by gro"]);
  assertEquals(rowFrom({ attach: "clsact" }).faults, ["attached by clsact"]);
});

Deno.test("flows that all take one queue of two are a fault", () => {
  const row = (queues: string) =>
    rowFrom({ queues }, { card: "virtio-2-queues" });
  assertEquals(row("400 600").faults, []);
  assertEquals(row("400 600").queues, "400 / 600");
  assertEquals(row("1000 3").faults, [
    "flows are not spread over the queues: 1000 3",
  ]);
  assertEquals(row("0 0").faults, [
    "flows are not spread over the queues: 0 0",
  ]);
});

Deno.test("the table has a cell for each column", () => {
  const kernel = "6.12";
  assertEquals(cellsOf({ ...rowFrom({}), kernel }), [
    "6.12",
    "virtio",
    "--datapath=auto",
    "gro by tcx",
    "250 / 240",
    "one",
    "0 in 0.3 s",
    "0",
    "2.4 / refused",
    "passed",
  ]);
  const broken = cellsOf({
    ...brokenRow("e1000e", undefined, "it did not boot"),
    kernel,
  });
  assertEquals(broken.length, HEAD.length);
  assertEquals(broken.at(-1), "it did not boot");
});

Deno.test("what is left after the cleanup is a fault, but for a program that the driver forgets", () => {
  const clean = { left: "", kept: "" };
  const kept = { left: "", kept: "loden_peers loden_xdp" };
  const after = (card: CardName, ...machines: Record<string, string>[]) => {
    const rows = [
      rowFrom({ receive: "xdp" }, { card, mode: ["ebpf", "xdp"] }),
      rowFrom({ path: "tun" }, { card, mode: ["tun", "auto"] }),
    ];
    return cleanedRows(rows, machines).map((row) =>
      cellsOf({ ...row, kernel: "6.12" }).at(-1)
    );
  };
  assertEquals(after("virtio", clean, clean), ["passed", "passed"]);
  assertEquals(after("virtio", clean, { ...clean, left: "clsact" }), [
    "passed",
    "cleanup left clsact",
  ]);
  const fault = "cleanup left loden_peers loden_xdp";
  assertEquals(after("virtio", { ...kept, forgets: "yes" }, clean), [
    "passed",
    fault,
  ]);
  assertEquals(after("vmxnet3", { ...kept, forgets: "no" }, clean), [
    "passed",
    fault,
  ]);
  const known = { ...kept, forgets: "yes" };
  assertEquals(after("vmxnet3", known, known), [
    "passed; the driver forgot the program",
    "passed",
  ]);
  assertEquals(after("vmxnet3", known, { ...known, left: "flannel0" }), [
    "passed; the driver forgot the program",
    "cleanup left flannel0",
  ]);
});

Deno.test("what a trial must find is a fault where it was made and found something else", () => {
  const found = {
    counted: "all",
    possible: "0-65",
    lockdown: "confidentiality",
    explain: "0",
    monitor: "rx.drop.short",
    replug_left: "nothing",
    replug_back: "1.2",
  };
  assertEquals(rowFrom(found).faults, []);
  for (const name of Object.keys(found)) {
    assertEquals(
      rowFrom({ ...found, [name]: "all" }).faults.length,
      name === "counted" ? 0 : 1,
      name,
    );
  }
  assertEquals(rowFrom({ counted: "of 200 0" }).faults, ["counted: of 200 0"]);
});

Deno.test("a row without a trial shows a dash for it", () => {
  const { after_life: _, down_gap: _gap, life: _life, ...others } = GOOD;
  const row = rowOf(
    { card: "virtio-replugged", mode: ["auto", "auto"], release: "6.12.1" },
    others,
  );
  assertEquals([row.lostInRestart, row.gaps, row.faults], ["-", "-", []]);
});
