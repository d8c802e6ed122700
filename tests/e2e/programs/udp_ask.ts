/**
 * Sends datagrams to an echo, one after the other, and compares what comes back:
 * `udp_ask.ts <address> <port> <bytes>...`. Prints `{"asked":…,"same":…,"late":[…],
 * "changed":[…]}`, the latter two with the sizes of those that did not come back
 * in time or not as they were.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const WAIT_MS = 2_000;

const [address, port, ...sizes] = Deno.args as [string, string, ...string[]];
const socket = createSocket("udp4");
let same = 0;
const late: number[] = [];
const changed: number[] = [];
for (const [index, size] of sizes.entries()) {
  const sent = new Uint8Array(Number(size)).map((_, i) => i * 7 + index);
  const answer = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => answer.resolve(undefined), WAIT_MS);
  socket.once("message", (message) => answer.resolve(message));
  socket.send(sent, Number(port), address);
  const received = await answer.promise;
  clearTimeout(timer);
  socket.removeAllListeners("message");
  if (received === undefined) late.push(sent.length);
  else if (
    received.length === sent.length &&
    received.every((byte, i) => byte === sent[i])
  ) same += 1;
  else changed.push(sent.length);
}
socket.close();
console.log(JSON.stringify({ asked: sizes.length, same, late, changed }));
