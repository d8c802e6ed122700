/**
 * A thread of the data path: puts its loop together and runs it.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { describeError } from "../../../errors.ts";
import { KernelIcmpPort } from "../../../linux/icmp_socket.ts";
import { KernelRtnetlink } from "../../../linux/netlink/kernel_rtnetlink.ts";
import { PacketMemory } from "../../../linux/packet_memory.ts";
import {
  clearEvent,
  KernelPoller,
  signalEvent,
  waitWritable,
  yieldProcessor,
} from "../../../linux/poll.ts";
import { KernelTunPort } from "../../../linux/tun.ts";
import {
  KernelUdpPort,
  UDP_PORT_AREA_BYTES,
} from "../../../linux/udp_socket.ts";
import { toIpv4 } from "../../../net/ipv4.ts";
import { Arrivals } from "./arrivals.ts";
import { HelperLoop } from "./helper_loop.ts";
import { IcmpResponder } from "./icmp_responder.ts";
import * as layout from "./layout.ts";
import { instantiatePacketKernel, type PacketKernel } from "./packet_kernel.ts";
import {
  BULK_LOOKS,
  BUSY_POLL_WINDOW_MS,
  PacketWaiter,
} from "./packet_waiter.ts";
import { PrimaryLoop } from "./primary_loop.ts";
import { Receiver } from "./receiver.ts";
import { Transmitter } from "./transmitter.ts";
import type { StartMessage, WorkerMessage } from "./worker_messages.ts";

/** Long enough for a device to send something, short enough not to be missed. */
const ROOM_WAIT_MS = 5;

/** Open as long as the worker runs. */
interface Sockets {
  readonly icmpPort: KernelIcmpPort;
  /** Absent where nothing has to be asked. */
  readonly rtnetlink: KernelRtnetlink | undefined;
}

function runPrimary(start: StartMessage, sockets: Sockets): number {
  const parts = makeParts(start, sockets);
  const poller = new KernelPoller([
    start.tunDescriptor,
    start.udpDescriptor,
    start.wakeUpDescriptor,
  ]);
  const loop = new PrimaryLoop({
    ...parts,
    poller,
    waiter: makeWaiter(start, poller, BUSY_POLL_WINDOW_MS),
    transmitter: new Transmitter({
      ...parts,
      waitForRoom: () => waitWritable(start.udpDescriptor, ROOM_WAIT_MS),
    }, { segmentSends: start.features.udpSegment }),
    receiver: new Receiver(parts),
    askForHelper: () => {
      if (start.features.helperThread) tell({ type: "wants-helper" });
    },
    wakeHelper: () => signalEvent(start.otherWakeUpDescriptor),
  });
  tell({ type: "running" });
  return loop.run();
}

function runHelper(start: StartMessage, sockets: Sockets): number {
  const parts = makeParts(start, sockets);
  const poller = new KernelPoller([
    start.udpDescriptor,
    start.wakeUpDescriptor,
  ]);
  const loop = new HelperLoop({
    ...parts,
    poller,
    // It is there for bulk transfers: while little moves it has nothing to do.
    waiter: makeWaiter(start, poller, 0),
    receiver: new Receiver(parts),
    wakePrimary: () => signalEvent(start.otherWakeUpDescriptor),
  });
  tell({ type: "running" });
  return loop.run();
}

function makeWaiter(
  { features: { busyPoll } }: StartMessage,
  poller: KernelPoller,
  windowMs: number,
): PacketWaiter {
  return new PacketWaiter(
    { poller, clock, yieldProcessor },
    busyPoll
      ? { windowMs, bulkLooks: BULK_LOOKS }
      : { windowMs: 0, bulkLooks: 0 },
  );
}

const clock = { monotonic: () => performance.now() };

function makeParts(start: StartMessage, { icmpPort, rtnetlink }: Sockets) {
  const memory = new PacketMemory(start.memory);
  const kernel = instantiatePacketKernel(start.module, memory);
  const area = start.role === "primary" ? 0 : UDP_PORT_AREA_BYTES;
  return {
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
      layout.SYSTEM_CALL_AREA + area,
    ),
    icmp: new IcmpResponder({
      memory,
      port: icmpPort,
      clock,
      addCount: kernel.addCount,
    }),
    arrivals: rtnetlink && makeArrivals(kernel, rtnetlink),
    clock,
    acknowledgeWakeUp: () => clearEvent(start.wakeUpDescriptor),
  };
}

function makeArrivals(
  { isPeerAddress }: PacketKernel,
  rtnetlink: KernelRtnetlink,
): Arrivals {
  return new Arrivals({
    nextHops: (address) => rtnetlink.nextHops(toIpv4(address)),
    isPeerAddress,
    clock,
  });
}

function tell(message: WorkerMessage): void {
  self.postMessage(message);
}

self.onmessage = ({ data: start }: MessageEvent<StartMessage>) => {
  try {
    using icmpPort = new KernelIcmpPort();
    using rtnetlink = start.checksInterface ? new KernelRtnetlink() : undefined;
    const run = start.role === "primary" ? runPrimary : runHelper;
    tell({ type: "ended", errno: run(start, { icmpPort, rtnetlink }) });
  } catch (error) {
    tell({
      type: "failed",
      message: describeError(error),
    });
  }
};
