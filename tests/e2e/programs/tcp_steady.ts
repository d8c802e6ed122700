/**
 * Sends bytes that no path can guess, about 100 Mbit/s, until SIGTERM; then
 * prints their SHA-256, in hexadecimal: `tcp_steady.ts <address> <port>
 * [<milliseconds>]`. The number is the pause between two pieces of 64 KiB. Says
 * `sending` when the first have gone.
 *
 * @module
 */

import { createHash } from "node:crypto";

const CHUNK_BYTES = 65_536;
const PAUSE_MS = 5;

const [address, port, pause] = Deno.args as [string, string, string?];
const pauseMs = pause === undefined ? PAUSE_MS : Number(pause);
let stopped = false;
Deno.addSignalListener("SIGTERM", () => stopped = true);
const connection = await Deno.connect({
  hostname: address,
  port: Number(port),
});
const hash = createHash("sha256");
const chunk = new Uint8Array(CHUNK_BYTES);
for (let first = true; !stopped; first = false) {
  crypto.getRandomValues(chunk);
  hash.update(chunk);
  for (let sent = 0; sent < chunk.length;) {
    sent += await connection.write(chunk.subarray(sent));
  }
  if (first) console.log("sending");
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
await connection.closeWrite();
// The end of the stream says that the other side has read all.
while (await connection.read(new Uint8Array(64)) !== null);
connection.close();
console.log(hash.digest("hex"));
Deno.exit();
