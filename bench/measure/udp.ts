/**
 * Small UDP packets: how many a second arrive at a socket.
 *
 * @module
 */

import type { FigureName } from "../figures.ts";
import type { ShortTurn } from "../turns.ts";
import { Conversation } from "./conversation.ts";
import type { MeasuredLink } from "./link.ts";
import { CPU_EACH, onCpuAlone } from "./placement.ts";

const PORT = "5999";
/** They are counted only while the sender sends. */
const COUNTED = 0.8;
/** On a machine with one CPU, what has come is counted before more is sent. */
const RECEIVER_PRIORITY = 2;

/**
 * One sender, 64 bytes of payload, 64 packets with a system call.
 *
 * @param how a message for each packet, or one buffer that the kernel cuts
 * (`UDP_SEGMENT`).
 */
export async function openUdp(
  { client, server }: MeasuredLink,
  how: "messages" | "segmented",
  figure: FigureName,
  programs: AsyncDisposableStack,
): Promise<ShortTurn> {
  const receiver = programs.use(
    await Conversation.start(
      server.namespace,
      onCpuAlone(CPU_EACH.server, RECEIVER_PRIORITY),
      ["udp_receive.ts", server.address, PORT],
    ),
  );
  const sender = programs.use(
    await Conversation.start(
      client.namespace,
      onCpuAlone(CPU_EACH.client),
      ["udp_send.ts", server.address, PORT, how],
    ),
  );
  return async (milliseconds) => {
    const [packetsPerSecond] = await Promise.all([
      receiver.ask<number>(milliseconds * COUNTED),
      sender.ask<number>(milliseconds),
    ]);
    return { [figure]: packetsPerSecond };
  };
}
