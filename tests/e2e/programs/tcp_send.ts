/**
 * Sends bytes that no path can guess and prints their SHA-256, in hexadecimal:
 * `tcp_send.ts <address> <port> <megabytes>`.
 *
 * @module
 */

import { createHash } from "node:crypto";

const [address, port, megabytes] = Deno.args as [string, string, string];
const connection = await Deno.connect({
  hostname: address,
  port: Number(port),
});
const hash = createHash("sha256");
const chunk = new Uint8Array(1 << 20);
for (let i = 0; i < Number(megabytes); i++) {
  for (let offset = 0; offset < chunk.length; offset += 65_536) {
    crypto.getRandomValues(chunk.subarray(offset, offset + 65_536));
  }
  hash.update(chunk);
  for (let sent = 0; sent < chunk.length;) {
    sent += await connection.write(chunk.subarray(sent));
  }
}
await connection.closeWrite();
// The end of the stream says that the other side has read all.
while (await connection.read(new Uint8Array(64)) !== null);
connection.close();
console.log(hash.digest("hex"));
