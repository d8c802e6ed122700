/**
 * Sends each line of standard input, hexadecimal, out of a device, and answers it
 * with a dot: ten bytes of `struct virtio_net_hdr`, then one Ethernet frame.
 * `frame_inject.ts <device>`.
 *
 * @module
 */

import { openFrameSocket } from "./frame_socket.ts";
import { sendLines } from "./send_lines.ts";

await sendLines(await openFrameSocket(Deno.args[0]!));
