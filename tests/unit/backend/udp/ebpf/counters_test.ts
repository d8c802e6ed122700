import { assertEquals } from "@std/assert";
import {
  CLOCK_OFFSET,
  CLOCK_TICK_OFFSET,
  COUNTER_BLOCK_BYTES,
  counterOffset,
  PROGRAM_COUNTERS,
  readProgramCounters,
  readReceived,
} from "../../../../../backend/udp/ebpf/counters.ts";

/** The blocks of `cpus` CPUs, with the n-th number of each as told. */
function blocks(
  cpus: number,
  numberOf: (cpu: number, offset: number) => bigint,
): Uint8Array {
  const bytes = new Uint8Array(cpus * COUNTER_BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 8) {
    const cpu = Math.floor(at / COUNTER_BLOCK_BYTES);
    view.setBigUint64(at, numberOf(cpu, at % COUNTER_BLOCK_BYTES), true);
  }
  return bytes;
}

Deno.test("each counter has a place of its own, and none is where the clock is", () => {
  const places = [
    ...PROGRAM_COUNTERS.map(counterOffset),
    CLOCK_OFFSET,
    CLOCK_TICK_OFFSET,
  ];
  assertEquals(
    places,
    Array.from({ length: COUNTER_BLOCK_BYTES / 8 }, (_, word) => word * 8),
  );
});

Deno.test("a counter is the sum over all CPUs, by its name", () => {
  const value = blocks(
    3,
    (cpu, offset) =>
      offset === counterOffset("rx.drop.wrongSource")
        ? BigInt(cpu + 1)
        : offset === counterOffset("tx.bytes")
        ? 2n ** 40n
        : 0n,
  );
  const { "rx.drop.wrongSource": drops, "tx.bytes": bytes, ...others } =
    readProgramCounters(value);
  assertEquals([drops, bytes], [6, 3 * 2 ** 40]);
  assertEquals(new Set(Object.values(others)), new Set([0]));
});

Deno.test("the clock behind the counters is in none of them", () => {
  const value = blocks(
    2,
    (_, offset) => offset >= CLOCK_OFFSET ? 2n ** 60n : 5n,
  );
  assertEquals(
    readProgramCounters(value),
    Object.fromEntries(
      PROGRAM_COUNTERS.map((name) => [name, 10]),
    ) as ReturnType<
      typeof readProgramCounters
    >,
  );
});

Deno.test("the traffic of each CPU is reported separately", () => {
  const value = blocks(
    2,
    (cpu, offset) => BigInt(1_000 * (cpu + 1) + offset),
  );
  const [bytes, whole] = ["rx.bytes", "rx.superPackets"] as const;
  assertEquals(
    readReceived(value),
    [1_000, 2_000].map((base) => ({
      bytes: base + counterOffset(bytes),
      superPackets: base + counterOffset(whole),
    })),
  );
});
