/**
 * Sends every datagram back: `udp_echo.ts <port>`.
 *
 * @module
 */

import { createSocket } from "node:dgram";

const socket = createSocket("udp4");
socket.on("message", (message, from) => {
  socket.send(message, from.port, from.address);
});
socket.bind(Number(Deno.args[0]), () => console.log("listening"));
