/**
 * Who takes the queueing discipline away, when one process has attached a
 * program, another one has replaced it and a third one detaches it.
 *
 * @module
 */

import { assert, assertStringIncludes } from "@std/assert";
import type { BpfProgram } from "../../linux/bpf/bpf.ts";
import { exit, mov, R0 } from "../../linux/bpf/instructions.ts";
import { KernelBpf } from "../../linux/bpf/kernel_bpf.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const DIRECTIONS = ["ingress", "egress"] as const;

/** As another process would be: nothing is remembered. */
function another(): KernelBpf {
  return new KernelBpf({ tcx: false });
}

function load(bpf: KernelBpf): BpfProgram {
  return bpf.loadProgram({
    name: "loden_rx_12345",
    type: "schedCls",
    build: () => [mov(R0, -1), exit()],
  });
}

/** Attached by one, replaced by the next, detached by the last. */
function throughThreeProcesses(device: number): void {
  {
    using bpf = another();
    using program = load(bpf);
    for (const direction of DIRECTIONS) bpf.attach(device, direction, program);
  }
  {
    using bpf = another();
    using program = load(bpf);
    for (const direction of DIRECTIONS) {
      const [replace] = bpf.attachedPrograms(device, direction);
      assert(replace?.name === "loden_rx_12345", replace?.name);
      bpf.attach(device, direction, program, { replace });
    }
  }
  using bpf = another();
  for (const direction of DIRECTIONS) {
    const [attached] = bpf.attachedPrograms(device, direction);
    assert(bpf.detach(device, direction, attached!));
  }
}

testInNamespace(
  "a clsact discipline goes with the last filter of its creator",
  import.meta.url,
  () => {
    using rtnetlink = new KernelRtnetlink();
    const device = rtnetlink.createVethPair({
      name: "veth0",
      peerName: "veth1",
      mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      peerMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
      mtuBytes: 1500,
      peerMtuBytes: 1500,
    }).link.index;
    const shown = () => runSync("tc", ["qdisc", "show", "dev", "veth0"]);
    const tc = (words: string) => runSync("tc", words.split(" "));

    Deno.test("a discipline that was made for the filters goes", () => {
      throughThreeProcesses(device);
      assert(!shown().includes("clsact"), shown());
    });

    Deno.test("a discipline that was there stays", () => {
      tc("qdisc add dev veth0 clsact");
      throughThreeProcesses(device);
      assertStringIncludes(shown(), "clsact");
      tc("qdisc del dev veth0 clsact");
    });

    Deno.test("a discipline with another program's filter stays", () => {
      using bpf = another();
      using program = load(bpf);
      const attached = bpf.attach(device, "ingress", program);
      runSync("tc", [
        ...["filter", "add", "dev", "veth0", "egress", "prio", "7"],
        ...["protocol", "all", "bpf", "bytecode", "1,6 0 0 4294967295"],
      ]);
      using last = another();
      assert(last.detach(device, "ingress", attached));
      assertStringIncludes(shown(), "clsact");
      tc("qdisc del dev veth0 clsact");
    });
  },
);
