/**
 * Prints each datagram as `<sender> <hexadecimal>`, one a line:
 * `udp_capture.ts <address> <port>`.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const [address, port] = Deno.args as [string, string];
const socket = createSocket("udp4");
socket.on("message", (message, from) => {
  console.log(`${from.address}:${from.port} ${message.toString("hex")}`);
});
socket.bind(Number(port), address, () => console.log("listening"));
