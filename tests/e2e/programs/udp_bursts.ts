/**
 * Single datagrams and super-packets (`UDP_SEGMENT`, as QUIC sends) in turn, in
 * one flow: `udp_bursts.ts <address> <port> <rounds>`. After each round the
 * other side, `udp_bursts_receive.ts`, says what it got. Prints
 * `{"sent":…,"received":…,"damaged":…,"outOfPlace":…}`, ends at the first round
 * without an answer.
 *
 * @module
 */

import { DatagramSocket } from "../../support/datagram_socket.ts";
import { writeNumbered } from "../../support/numbered_datagrams.ts";

const ANSWER_MS = 3_000;
/** Payloads, bytes; 1444 is the largest that one overlay packet holds. */
const PIECES = [1_444, 1_200, 500, 64];
const MOST_PIECES = 60;
const MOST_BYTES = 65_000;
/** What the last piece of a super-packet is shorter by. */
const SHORTER_BYTES = 17;

const [address, port, rounds] = Deno.args as [string, string, string];
const socket = new DatagramSocket({
  localPort: Number(port),
  remoteAddress: address,
  remotePort: Number(port),
});
let sent = 0;
let result = { received: 0, damaged: 0, outOfPlace: 0 };
for (let round = 0; round < Number(rounds); round++) {
  const piece = PIECES[round % PIECES.length]!;
  const most = Math.min(MOST_PIECES, Math.floor(MOST_BYTES / piece));
  burst(1, piece);
  burst(2 + round % (most - 1), piece);
  burst(1, 100);
  burst(most, piece);
  burst(2, piece);
  burst(1, piece, true);
  const answer = socket.receive(ANSWER_MS);
  if (answer === undefined) break;
  result = JSON.parse(new TextDecoder().decode(answer));
}
console.log(JSON.stringify({ sent, ...result }));

/** One datagram, or some at once of which the last is shorter. */
function burst(count: number, pieceBytes: number, last = false): void {
  const shorter = count > 1 ? SHORTER_BYTES : 0;
  const bytes = new Uint8Array(count * pieceBytes - shorter);
  for (let i = 0; i < count; i++) {
    const part = bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes);
    writeNumbered(part, sent++, last);
  }
  socket.send(bytes, count > 1 ? pieceBytes : 0);
}
