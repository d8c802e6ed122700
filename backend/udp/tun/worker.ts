/**
 * The thread of the data path: puts the loop together and runs it.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { KernelIcmpPort } from "../../../linux/icmp_socket.ts";
import { PacketMemory } from "../../../linux/packet_memory.ts";
import {
  clearEvent,
  KernelPoller,
  waitWritable,
  yieldProcessor,
} from "../../../linux/poll.ts";
import { KernelTunPort } from "../../../linux/tun.ts";
import { KernelUdpPort } from "../../../linux/udp_socket.ts";
import { IcmpResponder } from "./icmp_responder.ts";
import * as layout from "./layout.ts";
import { instantiatePacketKernel } from "./packet_kernel.ts";
import { PacketLoop } from "./packet_loop.ts";
import { BUSY_POLL_WINDOW_MS, PacketWaiter } from "./packet_waiter.ts";
import type { StartMessage, WorkerMessage } from "./worker_messages.ts";

/** Long enough for a device to send something, short enough not to be missed. */
const ROOM_WAIT_MS = 5;

function run(start: StartMessage): number {
  const memory = new PacketMemory(start.memory);
  const kernel = instantiatePacketKernel(start.module, memory);
  const poller = new KernelPoller([
    start.tunDescriptor,
    start.udpDescriptor,
    start.wakeUpDescriptor,
  ]);
  const clock = { monotonic: () => performance.now() };
  using icmpPort = new KernelIcmpPort();
  const loop = new PacketLoop({
    memory,
    kernel,
    tun: new KernelTunPort(start.tunDescriptor, memory, {
      readStart: layout.TX_BUFFER,
      readEnd: layout.TX_BUFFER + layout.TX_SLOTS * layout.TX_SLOT_BYTES,
      readStride: layout.TX_SLOT_BYTES,
      iovecsStart: layout.RX_IOV,
      iovecsEnd: layout.RX_OPEN_FLOWS,
    }),
    udp: new KernelUdpPort(
      start.udpDescriptor,
      start.udpPort,
      memory,
      layout.SYSTEM_CALL_AREA,
    ),
    poller,
    waiter: new PacketWaiter(
      { poller, clock, yieldProcessor },
      start.features.busyPoll ? BUSY_POLL_WINDOW_MS : 0,
    ),
    icmp: new IcmpResponder({
      memory,
      port: icmpPort,
      clock,
      addCount: kernel.addCount,
    }),
    acknowledgeWakeUp: () => clearEvent(start.wakeUpDescriptor),
    waitForRoom: () => waitWritable(start.udpDescriptor, ROOM_WAIT_MS),
  }, { segmentSends: start.features.udpSegment });
  tell({ type: "running" });
  return loop.run();
}

function tell(message: WorkerMessage): void {
  self.postMessage(message);
}

self.onmessage = (event: MessageEvent<StartMessage>) => {
  try {
    tell({ type: "ended", errno: run(event.data) });
  } catch (error) {
    tell({
      type: "failed",
      message: error instanceof Error ? error.message : String(error),
    });
  }
};
