import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO, SystemCallError } from "../../../../linux/errno.ts";
import {
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
} from "../../../../linux/netlink/codec.ts";
import {
  BadNetlinkMessageError,
  NetlinkError,
} from "../../../../linux/netlink/errors.ts";
import { NetlinkClient } from "../../../../linux/netlink/netlink_client.ts";
import type { NetlinkTransport } from "../../../../linux/netlink/netlink_transport.ts";
import { fromHex } from "./hex.ts";

type Answer =
  | Partial<NetlinkMessage> & { readonly type: number }
  | Uint8Array;
/** What one `receive` gives: a datagram of messages, or an error number. */
type Datagram = readonly Answer[] | number;

/** A kernel that answers the n-th request by the n-th part of a script. */
class ScriptedKernel implements NetlinkTransport {
  readonly requests: NetlinkMessage[] = [];
  datagrams = 0;
  resets = 0;
  readonly #script: Datagram[][];
  #pending: Datagram[] = [];
  #memory = new Uint8Array(1024);

  constructor(script: Datagram[][]) {
    this.#script = script;
  }

  send(bytes: Uint8Array): void {
    this.datagrams++;
    this.requests.push(...decodeMessages(bytes));
    this.#pending.push(...this.#script.shift()!);
  }

  receive(): Uint8Array {
    const datagram = this.#pending.shift();
    if (datagram === undefined) throw new Error("the script has ended");
    if (typeof datagram === "number") {
      throw new SystemCallError("receive", datagram);
    }
    this.#memory.fill(0xee);
    let length = 0;
    for (const answer of datagram) {
      const bytes = answer instanceof Uint8Array ? answer : encodeMessage({
        flags: 0,
        sequence: this.requests.at(-1)!.sequence,
        payload: new Uint8Array(),
        ...answer,
      });
      this.#memory.set(bytes, length);
      length += bytes.length;
    }
    return this.#memory.subarray(0, length);
  }

  reset(): void {
    this.resets++;
    this.#pending = [];
  }

  [Symbol.dispose](): void {}
}

const ACK: Answer = { type: 2, payload: new Uint8Array(20) };
const DONE: Answer = { type: 3, flags: 2, payload: new Uint8Array(4) };
const INTERRUPTED = 0x10;
const REQUEST = { type: 26, flags: 0, payload: fromHex("02 00 00 00") };

const entry = (text: string, flags = 2): Answer => ({
  type: 24,
  flags,
  payload: fromHex(text),
});

function clientOf(...script: Datagram[][]) {
  const kernel = new ScriptedKernel(script);
  return { kernel, client: new NetlinkClient(kernel) };
}

Deno.test("a request asks for an acknowledgement and has a new number each time", () => {
  const { kernel, client } = clientOf([[ACK]], [[ACK]]);
  client.request("try", { ...REQUEST, flags: 0x600 });
  client.request("try", REQUEST);
  assertEquals(kernel.requests, [
    { type: 26, flags: 0x605, sequence: 1, payload: REQUEST.payload },
    { type: 26, flags: 0x005, sequence: 2, payload: REQUEST.payload },
  ]);
});

Deno.test("a request gives the payloads that come before its acknowledgement", () => {
  const { client } = clientOf([[entry("01 02 03 04", 0)], [ACK]]);
  assertEquals(client.request("try", REQUEST), [fromHex("01 02 03 04")]);
});

/** The verdict on the n-th request since the script began. */
const refused = (sequence: number, errno: number): Answer => {
  const payload = new Uint8Array(20);
  new DataView(payload.buffer).setInt32(0, -errno, true);
  return { type: 2, sequence, payload };
};

Deno.test("many changes go in one datagram, and only the last asks for an answer", () => {
  const { kernel, client } = clientOf([[ACK]]);
  const change = { ...REQUEST, flags: 0x500 };
  assertEquals(client.requestMany("try", [change, change, change]), []);
  assertEquals(
    kernel.requests.map(({ flags, sequence }) => [flags, sequence]),
    [[0x501, 1], [0x501, 2], [0x505, 3]],
  );
  assertEquals(kernel.datagrams, 1);
});

Deno.test("of many changes those that were refused are named, the last one too", () => {
  const { client } = clientOf([
    [refused(77, ERRNO.EPERM), refused(2, ERRNO.EEXIST)],
    [refused(4, ERRNO.ENODEV)],
  ]);
  assertEquals(
    client.requestMany("try", [REQUEST, REQUEST, REQUEST, REQUEST]),
    [
      { index: 1, errno: ERRNO.EEXIST, detail: undefined },
      { index: 3, errno: ERRNO.ENODEV, detail: undefined },
    ],
  );
});

Deno.test("very many changes go in several datagrams", () => {
  const { kernel, client } = clientOf(
    [[ACK]],
    [[refused(130, ERRNO.EEXIST)], [ACK]],
    [[ACK]],
  );
  const many = Array.from({ length: 300 }, () => REQUEST);
  assertEquals(
    client.requestMany("try", many).map(({ index }) => index),
    [129],
  );
  assertEquals([kernel.requests.length, kernel.datagrams], [300, 3]);
});

Deno.test("no changes are no datagram", () => {
  const { kernel, client } = clientOf();
  assertEquals(client.requestMany("try", []), []);
  assertEquals(kernel.datagrams, 0);
});

Deno.test("a lost verdict on many changes leaves a clean socket behind", () => {
  const { kernel, client } = clientOf([ERRNO.ENOBUFS], [[ACK]]);
  const error = assertThrows(
    () => client.requestMany("put routes", [REQUEST]),
    NetlinkError,
  );
  assertEquals([error.errno, kernel.resets], [ERRNO.ENOBUFS, 1]);
  assertEquals(client.requestMany("put routes", [REQUEST]), []);
});

Deno.test("a list comes in several datagrams, whose memory is used again", () => {
  const { kernel, client } = clientOf([
    [entry("01 00 00 00"), entry("02 00 00 00")],
    [entry("03 00 00 00")],
    [DONE],
  ]);
  assertEquals(client.list("try", REQUEST), [
    fromHex("01 00 00 00"),
    fromHex("02 00 00 00"),
    fromHex("03 00 00 00"),
  ]);
  assertEquals(kernel.requests[0]!.flags, 0x301);
});

Deno.test("late answers to an earlier request and no-ops are passed over", () => {
  const { client } = clientOf([
    [{ type: 24, sequence: 99, payload: fromHex("ff ff ff ff") }, { type: 1 }],
    [{ ...ACK, sequence: 0 } as Answer],
    [entry("01 00 00 00"), DONE],
  ]);
  assertEquals(client.list("try", REQUEST), [fromHex("01 00 00 00")]);
});

Deno.test("a list that changed while it was read is read again", () => {
  const { kernel, client } = clientOf(
    [[entry("01 00 00 00", 2 | INTERRUPTED)], [DONE]],
    [[entry("02 00 00 00")], [{ ...DONE, flags: 2 | INTERRUPTED } as Answer]],
    [[entry("03 00 00 00")], [DONE]],
  );
  assertEquals(client.list("try", REQUEST), [fromHex("03 00 00 00")]);
  assertEquals([kernel.requests.length, kernel.resets], [3, 0]);
});

Deno.test("a list that never stays the same is given up with a reason", () => {
  const { kernel, client } = clientOf(
    ...Array.from({ length: 10 }, () => [[
      entry("01 00 00 00", 2 | INTERRUPTED),
      DONE,
    ]]),
  );
  const error = assertThrows(
    () => client.list("list the routes", REQUEST),
    NetlinkError,
  );
  assertEquals(
    error.message,
    "Cannot list the routes: the kernel answered EAGAIN: " +
      "the list changed during each of 10 attempts",
  );
  assertEquals(kernel.requests.length, 10);
});

Deno.test("a list of which an answer was lost is read again from a clean socket", () => {
  const { kernel, client } = clientOf(
    [[entry("01 00 00 00")], ERRNO.ENOBUFS],
    [[entry("02 00 00 00"), { type: 4 }]],
    [[entry("03 00 00 00"), DONE]],
  );
  assertEquals(client.list("try", REQUEST), [fromHex("03 00 00 00")]);
  assertEquals(kernel.resets, 2);
});

Deno.test("a list of which answers are always lost is given up with a reason", () => {
  const { client } = clientOf(
    ...Array.from({ length: 10 }, () => [ERRNO.ENOBUFS]),
  );
  const error = assertThrows(() => client.list("try", REQUEST), NetlinkError);
  assertEquals(error.code, "linux.ENOBUFS");
  assertEquals(
    error.message.endsWith("an answer was lost in each of 10 attempts"),
    true,
  );
});

Deno.test("a change whose answer was lost is not made again", () => {
  const { kernel, client } = clientOf([ERRNO.ENOBUFS], [[ACK]]);
  const error = assertThrows(
    () => client.request("add a route", REQUEST),
    NetlinkError,
  );
  assertEquals(error.errno, ERRNO.ENOBUFS);
  assertEquals([kernel.requests.length, kernel.resets], [1, 1]);
  assertEquals(client.request("add a route", REQUEST), []);
});

Deno.test("silence is an error that says so", () => {
  const { client } = clientOf([ERRNO.EAGAIN]);
  assertThrows(
    () => client.request("try", REQUEST),
    NetlinkError,
    "Cannot try: the kernel answered EAGAIN: no answer came in time",
  );
});

Deno.test("a datagram that is no message leaves a clean socket behind", () => {
  const { kernel, client } = clientOf([[fromHex("01 02")]]);
  assertThrows(() => client.request("try", REQUEST), BadNetlinkMessageError);
  assertEquals(kernel.resets, 1);
});

Deno.test("a refusal has its number and the kernel's own words", () => {
  // As Linux 6.18 sent it.
  const { client } = clientOf([[{
    type: 2,
    flags: 0x300,
    payload: fromHex(`9b ff ff ff
      2c 00 00 00 18 00 05 04 01 00 00 00 00 00 00 00
      20 00 01 00 4e 65 78 74 68 6f 70 20 68 61 73 20
      69 6e 76 61 6c 69 64 20 67 61 74 65 77 61 79 00`),
  }]]);
  const error = assertThrows(
    () => client.request("put the route", REQUEST),
    NetlinkError,
  );
  assertEquals([error.errno, error.code], [101, "linux.ENETUNREACH"]);
  assertEquals(
    error.message,
    "Cannot put the route: the kernel answered ENETUNREACH: " +
      "Nexthop has invalid gateway",
  );
});

Deno.test("a refusal that repeats the whole request has its words behind that", () => {
  const { client } = clientOf([[{
    type: 2,
    flags: 0x200,
    payload: fromHex(`ea ff ff ff
      15 00 00 00 1a 00 05 00 01 00 00 00 00 00 00 00 02 00 00 00 ff 00 00 00
      08 00 01 00 62 61 64 00`),
  }]]);
  assertThrows(
    () => client.request("try", REQUEST),
    NetlinkError,
    "the kernel answered EINVAL: bad",
  );
});

Deno.test("a list can be refused at its end", () => {
  const { client } = clientOf([[entry("01 00 00 00"), {
    type: 3,
    flags: 0x202,
    payload: fromHex("ea ff ff ff 08 00 01 00 62 61 64 00"),
  }]]);
  assertThrows(
    () => client.list("try", REQUEST),
    NetlinkError,
    "the kernel answered EINVAL: bad",
  );
});

Deno.test("a refusal for want of rights says which rights", () => {
  const { client } = clientOf([[{
    type: 2,
    payload: fromHex(`ff ff ff ff ${"00 ".repeat(16)}`),
  }]]);
  const error = assertThrows(
    () => client.request("try", REQUEST),
    NetlinkError,
  );
  assertEquals(error.hint, "run as root or with CAP_NET_ADMIN");
});

Deno.test("a verdict without a number is refused", () => {
  const { client } = clientOf([[{ type: 3, payload: fromHex("00 00") }]]);
  assertThrows(() => client.list("try", REQUEST), BadNetlinkMessageError);
});

Deno.test("a refusal that promises a sentence and ends before it is no message", () => {
  const client = new NetlinkClient(
    new ScriptedKernel([[[{
      type: 2,
      flags: 0x200,
      payload: new Uint8Array([0xff, 0xff, 0xff, 0xff]),
    }]]]),
  );
  assertThrows(() => client.request("ask", REQUEST), BadNetlinkMessageError);
});
