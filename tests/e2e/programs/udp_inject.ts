/**
 * Sends each line of standard input, hexadecimal, as one datagram from and to
 * the same port, and answers it with a dot: `udp_inject.ts <address> <port>`.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { sendLines } from "./send_lines.ts";

const [address, port] = Deno.args as [string, string];
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(Number(port), resolve));
await sendLines((bytes) =>
  new Promise((resolve, reject) =>
    socket.send(bytes, Number(port), address, (error) => {
      if (error) reject(error);
      else resolve();
    })
  )
);
socket.close();
