/**
 * Whether a device with several queues sees the flows of one host as several.
 *
 * The underlay is a veth with four queues. A card distributes by the outer
 * headers alone; within one kernel a packet carries its inner flow's hash along,
 * so a program at the underlay's egress discards it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Bpf, BpfMap } from "../../linux/bpf/bpf.ts";
import {
  add,
  and,
  atomicAdd,
  call,
  exit,
  jumpIf,
  label,
  load,
  loadMap,
  mov,
  R0,
  R1,
  R10,
  R2,
  R6,
  store,
} from "../../linux/bpf/instructions.ts";
import { setKernel } from "../rig/kernel_settings.ts";
import {
  eventually,
  FIRST,
  KernelPathHost,
  OWN_ADDRESS,
  REMOTE,
} from "../support/kernel_path_host.ts";
import { address } from "../support/kernel_world.ts";
import { outerPacket } from "../support/outer_packet.ts";
import { somePayload, tcpPacket } from "../support/packet_builder.ts";
import { testInNamespace } from "./in_namespace.ts";

const QUEUES = 4;
const FLOWS = 64;
const NEXT = -1;
/** `struct __sk_buff`. */
const QUEUE_MAPPING = 12;
const MOST_QUEUES = 16;

/** Lets the kernel hash packets by what is in them. */
function forgetHashes(bpf: Bpf, interfaceIndex: number): void {
  using program = bpf.loadProgram({
    name: "forget_hashes",
    type: "schedCls",
    build: () => [call("set_hash_invalid"), mov(R0, NEXT), exit()],
  });
  bpf.attach(interfaceIndex, "egress", program);
}

/** Counts packets by the queue through which they arrive. */
function countQueues(bpf: Bpf, interfaceIndex: number): BpfMap {
  const counts = bpf.createMap({
    name: "queue_counts",
    type: "array",
    keyBytes: 4,
    valueBytes: 8,
    maxEntries: MOST_QUEUES,
  });
  using program = bpf.loadProgram({
    name: "count_queues",
    type: "schedCls",
    maps: { counts },
    build: () => [
      mov(R6, R1),
      load("u32", R1, R6, QUEUE_MAPPING),
      and(R1, MOST_QUEUES - 1),
      store("u32", R10, -4, R1),
      loadMap(R1, "counts"),
      mov(R2, R10),
      add(R2, -4),
      call("map_lookup_elem"),
      jumpIf(R0, "==", 0, "end"),
      mov(R1, 1),
      atomicAdd("u64", R0, 0, R1),
      label("end"),
      mov(R0, NEXT),
      exit(),
    ],
  });
  bpf.attach(interfaceIndex, "ingress", program);
  return counts;
}

/** The packets of each queue that has some. */
function used(counts: BpfMap): number[] {
  return counts.entries()
    .map(({ value }) =>
      Number(new DataView(value.buffer).getBigUint64(0, true))
    )
    .filter((packets) => packets > 0);
}

/** A host whose underlay has several queues. */
function test(
  name: string,
  run: (host: KernelPathHost, interfaceIndex: number) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const host = new KernelPathHost();
    try {
      const { index } = host.plugIn(undefined, undefined, undefined, QUEUES);
      await run(host, index);
    } finally {
      await host.clean();
    }
  });
}

testInNamespace("flows on the queues of the underlay", import.meta.url, () => {
  setKernel({ "net/ipv6/conf/default/disable_ipv6": "1" });

  for (const sourcePort of ["hash", "fixed"] as const) {
    const how = sourcePort === "hash"
      ? "are on all queues, and each flow on one"
      : "are on one queue";
    test(
      `with --source-port=${sourcePort} the flows of a host ${how}`,
      async (host, index) => {
        forgetHashes(host.bpf, index);
        using counts = countQueues(host.bpf, host.link("eth0w").index);
        await host.start({ sourcePort });
        const ports = new Set<number>();
        for (let flow = 0; flow < FLOWS; flow++) {
          const send = () =>
            host.sendOut("10.1.2.7", "eth0", undefined, 10_000 + flow);
          const [first, second] = [await send(), await send()];
          assertEquals(first.sourcePort, second.sourcePort);
          ports.add(first.sourcePort);
        }
        const packets = used(counts);
        assertEquals(packets.length, sourcePort === "hash" ? QUEUES : 1);
        // 32 each on average.
        assert(packets.every((each) => each >= 8), `${packets}`);
        assert(sourcePort === "fixed" || ports.size > FLOWS / 2);
      },
    );
  }

  test("what arrives by several queues is merged by as many, one for each processor", async (host) => {
    await host.start({ receive: "gro" });
    using counts = countQueues(host.bpf, host.link("flannel0").index);
    for (let flow = 0; flow < FLOWS; flow++) {
      host.injectPacket(outerPacket({
        source: REMOTE,
        destination: OWN_ADDRESS,
        sourcePort: 50_000 + flow,
        port: FIRST.port,
        payload: tcpPacket({
          source: address("10.1.2.7"),
          destination: address("10.1.1.0"),
          sourcePort: 1_000 + flow,
          destinationPort: 80,
          sequence: 1,
          payload: somePayload(100),
        }),
      }));
    }
    const sum = (packets: number[]) => packets.reduce((a, b) => a + b, 0);
    await eventually("the packets", () => sum(used(counts)) === FLOWS);
    assertEquals(
      used(counts).length,
      Math.min(navigator.hardwareConcurrency, QUEUES),
    );
  });
});
