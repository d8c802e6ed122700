import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RingRecords } from "../../../../linux/bpf/ring_records.ts";

const SIZE = 128;
const HEADER_BYTES = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;

/** A ring as the kernel fills it; its data is twice in the process's memory. */
class KernelSide {
  readonly consumer = new BigUint64Array(1);
  readonly producer = new BigUint64Array(1);
  readonly data = new Uint8Array(2 * SIZE);
  readonly records: RingRecords;

  constructor(startsAt = 0n) {
    this.consumer[0] = startsAt;
    this.producer[0] = startsAt;
    this.records = new RingRecords(this);
  }

  /** Reserves, writes and submits; returns where, or nothing if it is full. */
  write(bytes: Uint8Array, flags = 0): number | undefined {
    const length = HEADER_BYTES + bytes.length;
    const rounded = BigInt((length + 7) & -8);
    const position = this.producer[0]!;
    const end = position + rounded;
    if (end - this.consumer[0]! > BigInt(SIZE) - 1n) return undefined;
    const at = Number(position % BigInt(SIZE));
    const record = new Uint8Array(length);
    this.producer[0] = end;
    new DataView(record.buffer).setUint32(
      0,
      (bytes.length | flags) >>> 0,
      true,
    );
    record.set(bytes, HEADER_BYTES);
    this.#put(at, record);
    return at;
  }

  submit(at: number, length: number, flags = 0): void {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, (length | flags) >>> 0, true);
    this.#put(at, header);
  }

  #put(at: number, bytes: Uint8Array): void {
    bytes.forEach((byte, index) => {
      const place = (at + index) % SIZE;
      this.data[place] = byte;
      this.data[place + SIZE] = byte;
    });
  }
}

const MOST = 100;
const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("records are read in order and once, whatever their length", () => {
  const ring = new KernelSide();
  ring.write(bytes(1));
  ring.write(bytes(2, 2, 2, 2, 2, 2, 2, 2, 2));
  ring.write(bytes());
  assertEquals(ring.records.read(MOST), [
    bytes(1),
    bytes(2, 2, 2, 2, 2, 2, 2, 2, 2),
    bytes(),
  ]);
  assertEquals(ring.records.read(MOST), []);
});

Deno.test("a record over the end of the memory is read whole", () => {
  const ring = new KernelSide(BigInt(SIZE - 16));
  const long = Uint8Array.from({ length: 40 }, (_, index) => index);
  ring.write(long);
  assertEquals(ring.records.read(MOST), [long]);
});

Deno.test("positions beyond 32 bits, and beyond what a number can hold, are places in the memory", () => {
  const ring = new KernelSide((1n << 60n) + 104n);
  ring.write(bytes(7, 8, 9));
  ring.write(bytes(10));
  assertEquals(ring.records.read(MOST), [bytes(7, 8, 9), bytes(10)]);
});

Deno.test("nothing is read from a record on that is still being written", () => {
  const ring = new KernelSide();
  ring.write(bytes(1));
  const busy = ring.write(bytes(2, 2), BUSY)!;
  ring.write(bytes(3));
  assertEquals(ring.records.read(MOST), [bytes(1)]);
  assertEquals(ring.records.read(MOST), []);
  ring.submit(busy, 2);
  assertEquals(ring.records.read(MOST), [bytes(2, 2), bytes(3)]);
});

Deno.test("a record that was given up is left out", () => {
  const ring = new KernelSide();
  ring.write(bytes(1), DISCARDED);
  ring.write(bytes(2));
  assertEquals(ring.records.read(MOST), [bytes(2)]);
});

Deno.test("no more are read than asked for, and the rest stays", () => {
  const ring = new KernelSide();
  for (const value of [1, 2, 3]) ring.write(bytes(value));
  assertEquals(ring.records.read(2), [bytes(1), bytes(2)]);
  assertEquals(ring.records.read(2), [bytes(3)]);
});

Deno.test("room is given back only when the records were copied", () => {
  const ring = new KernelSide();
  while (ring.write(bytes(5, 5)) !== undefined);
  const records = ring.records.read(MOST);
  ring.write(bytes(6, 6));
  assertEquals(records.every(([first]) => first === 5), true);
  assertEquals(ring.records.read(MOST), [bytes(6, 6)]);
});

Deno.test("what is there can be forgotten", () => {
  const ring = new KernelSide();
  ring.write(bytes(1));
  ring.records.discard();
  ring.write(bytes(2));
  assertEquals(ring.records.read(MOST), [bytes(2)]);
});

Deno.test("a length that is longer than what was written ends the reading, and what comes later is read", () => {
  const ring = new KernelSide();
  ring.submit(ring.write(bytes(1))!, 64);
  ring.write(bytes(2));
  assertEquals(ring.records.read(MOST), []);
  ring.write(bytes(3));
  assertEquals(ring.records.read(MOST), [bytes(3)]);
});

Deno.test("whatever is written and whenever it is read, what there was room for comes out", () => {
  fc.assert(fc.property(
    fc.bigInt({ min: 0n, max: 1n << 62n }).map((value) => value & ~7n),
    fc.array(fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
    )),
    (startsAt, steps) => {
      const ring = new KernelSide(startsAt);
      const written: Uint8Array[] = [];
      const read: Uint8Array[] = [];
      for (const step of [...steps, MOST]) {
        if (typeof step === "number") read.push(...ring.records.read(step));
        else if (ring.write(step) !== undefined) written.push(step);
      }
      assertEquals(read, written);
    },
  ));
});
