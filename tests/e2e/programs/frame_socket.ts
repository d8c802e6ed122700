/**
 * A socket that sends whole frames, each behind ten bytes of `struct
 * virtio_net_hdr`.
 *
 * @module
 */

import { addressOf, checked, libc } from "../../../linux/libc.ts";

/** linux/socket.h, linux/if_packet.h. */
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
/** struct sockaddr_ll. */
const ADDRESS_BYTES = 20;

/** Returns what sends a frame out of the device. */
export async function openFrameSocket(
  device: string,
): Promise<(frame: Uint8Array) => void> {
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
  return (frame) => {
    checked(
      c.sendto(
        descriptor,
        addressOf(frame),
        frame.length,
        0,
        addressOf(address),
        address.length,
      ),
      `send ${frame.length} bytes`,
    );
  };
}
