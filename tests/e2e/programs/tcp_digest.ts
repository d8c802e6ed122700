/**
 * Prints the SHA-256 of all that a connection sent, in hexadecimal, and closes
 * it: `tcp_digest.ts <port>`.
 *
 * @module
 */

import { createHash } from "node:crypto";

const listener = Deno.listen({ port: Number(Deno.args[0]) });
console.log("listening");
for await (const connection of listener) {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1 << 20);
  for (;;) {
    const length = await connection.read(buffer);
    if (length === null) break;
    hash.update(buffer.subarray(0, length));
  }
  console.log(hash.digest("hex"));
  connection.close();
}
