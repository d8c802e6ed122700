import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodeProbe,
  encodeProbe,
  MOST_CONTENT_BYTES,
  PROBE_HEADER_BYTES,
  PROBE_NONCE_BYTES,
  type ProbeKind,
  type ProbeMessage,
} from "../../../net/probe_message.ts";

const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const EMPTY = new Uint8Array();

const messages: fc.Arbitrary<ProbeMessage> = fc.record({
  kind: fc.constantFrom<ProbeKind>(
    "echo-request",
    "echo-reply",
    "question",
    "answer",
  ),
  nonce: fc.uint8Array({
    minLength: PROBE_NONCE_BYTES,
    maxLength: PROBE_NONCE_BYTES,
  }),
  content: fc.uint8Array({ maxLength: 200 }),
});

Deno.test("the bytes of a question are magic, version, kind, nonce, length, content, padding", () => {
  assertEquals(
    [...encodeProbe(
      { kind: "question", nonce: NONCE, content: Uint8Array.of(9, 8) },
      18,
    )],
    [0x4c, 0x50, 1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 9, 8, 0, 0],
  );
});

Deno.test("a message is read as it was written, whatever its padding", () => {
  fc.assert(fc.property(messages, fc.nat({ max: 400 }), (message, size) => {
    const bytes = encodeProbe(message, size);
    assertEquals(decodeProbe(bytes), message);
    assertEquals(
      bytes.length,
      Math.max(size, PROBE_HEADER_BYTES + message.content.length),
    );
  }));
});

Deno.test("an echo reply is as small as any message", () => {
  const reply = encodeProbe({
    kind: "echo-reply",
    nonce: NONCE,
    content: EMPTY,
  });
  assertEquals(reply.length, PROBE_HEADER_BYTES);
});

Deno.test("a datagram that is cut, of another protocol, version or kind is no message", () => {
  const whole = encodeProbe({
    kind: "answer",
    nonce: NONCE,
    content: Uint8Array.of(9, 8),
  });
  for (let length = 0; length < whole.length; length++) {
    assertEquals(decodeProbe(whole.subarray(0, length)), undefined);
  }
  for (const [at, value] of [[0, 0], [1, 0], [2, 2], [3, 0], [3, 5]]) {
    const other = whole.slice();
    other[at!] = value!;
    assertEquals(decodeProbe(other), undefined, `byte ${at} is ${value}`);
  }
});

Deno.test("a content that no question has room for is neither written nor read", () => {
  const message = {
    kind: "question",
    nonce: NONCE,
    content: new Uint8Array(MOST_CONTENT_BYTES + 1),
  } as const;
  assertThrows(() => encodeProbe(message), TypeError, "at most 1186 bytes");
  const bytes = encodeProbe({ ...message, content: EMPTY }, 2_000);
  new DataView(bytes.buffer).setUint16(12, MOST_CONTENT_BYTES + 1);
  assertEquals(decodeProbe(bytes), undefined);
});

Deno.test("a nonce has one length", () => {
  assertThrows(
    () => encodeProbe({ kind: "answer", nonce: EMPTY, content: EMPTY }),
    TypeError,
    "the nonce must have 8 bytes",
  );
});
