/**
 * The messages of probes between agents, as UDP payloads.
 *
 *     offset  bytes
 *          0      2  "LP"
 *          2      1  version, 1
 *          3      1  kind: 1 echo request, 2 echo reply, 3 question, 4 answer
 *          4      8  nonce: random in a request, the same in its response
 *         12      2  bytes of the content, network byte order
 *         14         content, then padding up to the end of the datagram
 *
 * Two exchanges use them:
 *
 * - **Echo.** The request is padded to the size whose way is measured. The reply
 *   has no content and no padding.
 * - **Question and answer.** `loden explain` asks another agent about its receive
 *   side. Both contents are opaque here; `agent/explain/` defines them. The
 *   question is padded, because no response is larger than its request: an agent
 *   that is given a forged sender sends that sender no more than the attacker
 *   could have sent it directly.
 *
 * A response is believed only by its nonce, which a machine that has not seen the
 * request cannot know, and only from the address that was asked. Padding is not
 * read. Messages of another version are not answered.
 *
 * @module
 */

/** What a message is. */
export type ProbeKind = "echo-request" | "echo-reply" | "question" | "answer";

/** One message, without its padding. */
export interface ProbeMessage {
  readonly kind: ProbeKind;
  /** {@linkcode PROBE_NONCE_BYTES} bytes. */
  readonly nonce: Uint8Array;
  /** Empty in an echo. */
  readonly content: Uint8Array;
}

/** Bytes before the content: the smallest message. */
export const PROBE_HEADER_BYTES = 14;

/** Bytes of a nonce. */
export const PROBE_NONCE_BYTES = 8;

/** Headers of IPv4 (without options) and UDP around a message. */
export const PROBE_PACKET_OVERHEAD_BYTES = 28;

/**
 * Size of a question, padding included. It passes every path for which IPv6 would
 * be usable, with room for an encapsulation.
 */
export const QUESTION_BYTES = 1_200;

/** The longest content of a question, and of the answer to it. */
export const MOST_CONTENT_BYTES = QUESTION_BYTES - PROBE_HEADER_BYTES;

const VERSION = 1;
const MAGIC = [0x4c, 0x50] as const;
const KINDS: readonly ProbeKind[] = [
  "echo-request",
  "echo-reply",
  "question",
  "answer",
];
const NONCE_OFFSET = 4;
const LENGTH_OFFSET = NONCE_OFFSET + PROBE_NONCE_BYTES;

/**
 * A message as a datagram.
 *
 * @param sizeBytes of the datagram; if the message is longer, it is not padded.
 * @throws {TypeError} if the nonce or the content has a wrong length.
 */
export function encodeProbe(
  { kind, nonce, content }: ProbeMessage,
  sizeBytes = 0,
): Uint8Array<ArrayBuffer> {
  if (nonce.length !== PROBE_NONCE_BYTES) {
    throw new TypeError(
      `Cannot encode a probe: the nonce must have ${PROBE_NONCE_BYTES} bytes: current value is ${nonce.length}`,
    );
  }
  if (content.length > MOST_CONTENT_BYTES) {
    throw new TypeError(
      `Cannot encode a probe: the content must have at most ${MOST_CONTENT_BYTES} bytes: current value is ${content.length}`,
    );
  }
  const bytes = new Uint8Array(
    Math.max(PROBE_HEADER_BYTES + content.length, sizeBytes),
  );
  bytes.set([...MAGIC, VERSION, KINDS.indexOf(kind) + 1]);
  bytes.set(nonce, NONCE_OFFSET);
  new DataView(bytes.buffer).setUint16(LENGTH_OFFSET, content.length);
  bytes.set(content, PROBE_HEADER_BYTES);
  return bytes;
}

/**
 * The message of a datagram; `undefined` for anything else, of any length. Nonce
 * and content are views of `bytes`.
 */
export function decodeProbe(bytes: Uint8Array): ProbeMessage | undefined {
  if (bytes.length < PROBE_HEADER_BYTES) return undefined;
  const [first, second, version, kindNumber] = bytes;
  if (first !== MAGIC[0] || second !== MAGIC[1] || version !== VERSION) {
    return undefined;
  }
  const kind = KINDS[kindNumber! - 1];
  if (kind === undefined) return undefined;
  const length = bytes[LENGTH_OFFSET]! << 8 | bytes[LENGTH_OFFSET + 1]!;
  if (
    length > MOST_CONTENT_BYTES || length > bytes.length - PROBE_HEADER_BYTES
  ) return undefined;
  return {
    kind,
    nonce: bytes.subarray(NONCE_OFFSET, LENGTH_OFFSET),
    content: bytes.subarray(PROBE_HEADER_BYTES, PROBE_HEADER_BYTES + length),
  };
}
