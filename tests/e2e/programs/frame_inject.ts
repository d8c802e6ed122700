/**
 * Sends each line of standard input, hexadecimal, out of a device, and answers it
 * with a dot: ten bytes of `struct virtio_net_hdr`, then one Ethernet frame.
 * `frame_inject.ts <device>`.
 *
 * @module
 */

import { addressOf, checked, libc } from "../../../linux/libc.ts";
import { sendLines } from "./send_lines.ts";

/** linux/socket.h, linux/if_packet.h. */
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
/** struct sockaddr_ll. */
const ADDRESS_BYTES = 20;

const [device] = Deno.args as [string];
const index = Number(
  await Deno.readTextFile(`/sys/class/net/${device}/ifindex`),
);
const c = libc();
const descriptor = checked(c.socket(AF_PACKET, SOCK_RAW, 0), "make a socket");
const one = new Int32Array([1]);
checked(
  c.setsockopt(descriptor, SOL_PACKET, PACKET_VNET_HDR, addressOf(one), 4),
  "say how frames may be cut",
);
const address = new Uint8Array(ADDRESS_BYTES);
const view = new DataView(address.buffer);
view.setUint16(0, AF_PACKET, true);
view.setInt32(4, index, true);

await sendLines((bytes) => {
  checked(
    c.sendto(
      descriptor,
      addressOf(bytes),
      bytes.length,
      0,
      addressOf(address),
      address.length,
    ),
    `send ${bytes.length} bytes`,
  );
});
