/**
 * `struct virtio_net_hdr`, linux/virtio_net.h: what stands before a frame to tell
 * the kernel how it may be cut.
 *
 * @module
 */

/** How a frame may be cut. */
export interface Cut {
  /** `udp`: datagrams of one flow, VIRTIO_NET_HDR_GSO_UDP_L4. */
  readonly type: "udp";
  /** Payload of each piece. */
  readonly pieceBytes: number;
}

/** What the sender says of a frame. */
export interface VirtioHeader {
  readonly cut?: Cut;
  /** How much of the frame is in the buffer's first, contiguous part. */
  readonly linearBytes?: number;
  /** Where a UDP header begins whose checksum is still to be finished. */
  readonly unfinishedUdpAt?: number;
}

const NEEDS_CHECKSUM = 1;
const GSO_UDP_L4 = 5;
const UDP_CHECKSUM_OFFSET = 6;

/** The ten bytes, in the machine's byte order. */
export function virtioHeader(options: VirtioHeader = {}): Uint8Array {
  const { cut, linearBytes = 0, unfinishedUdpAt } = options;
  const bytes = new Uint8Array(10);
  const machine = new Uint16Array(bytes.buffer);
  bytes[1] = cut ? GSO_UDP_L4 : 0;
  machine[1] = linearBytes;
  machine[2] = cut?.pieceBytes ?? 0;
  if (unfinishedUdpAt !== undefined) {
    bytes[0] = NEEDS_CHECKSUM;
    machine[3] = unfinishedUdpAt;
    machine[4] = UDP_CHECKSUM_OFFSET;
  }
  return bytes;
}
