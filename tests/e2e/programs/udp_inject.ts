/**
 * Sends each line of standard input, hexadecimal, as one datagram from and to
 * the same port: `udp_inject.ts <address> <port>`.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const [address, port] = Deno.args as [string, string];
const lines = (await new Response(Deno.stdin.readable).text()).trimEnd();
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(Number(port), resolve));
for (const line of lines.split("\n")) {
  const bytes = Uint8Array.fromHex(line.trim());
  await new Promise((resolve) =>
    socket.send(bytes, Number(port), address, resolve)
  );
}
socket.close();
