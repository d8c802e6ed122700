/**
 * Takes what `udp_bursts.ts` sends, and says after each round how much came, was
 * damaged, or came before or after its place:
 * `udp_bursts_receive.ts <address of the sender> <port>`.
 *
 * @module
 */

import { DatagramSocket } from "../../support/datagram_socket.ts";
import { readNumbered } from "../../support/numbered_datagrams.ts";

const [address, port] = Deno.args as [string, string];
const socket = new DatagramSocket({
  localPort: Number(port),
  remoteAddress: address,
  remotePort: Number(port),
});
console.log("listening");
const result = { received: 0, damaged: 0, outOfPlace: 0 };
let next = 0;
for (;;) {
  const bytes = socket.receive(60_000);
  if (bytes === undefined) continue;
  result.received += 1;
  const datagram = readNumbered(bytes);
  if (datagram === undefined) {
    result.damaged += 1;
    continue;
  }
  if (datagram.number !== next) result.outOfPlace += 1;
  next = datagram.number + 1;
  if (datagram.last) {
    socket.send(new TextEncoder().encode(JSON.stringify(result)));
  }
}
