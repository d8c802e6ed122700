/**
 * Both directions of the data path between a TUN and a socket in memory.
 *
 * @module
 */

import { IcmpResponder } from "../../backend/udp/tun/icmp_responder.ts";
import * as layout from "../../backend/udp/tun/layout.ts";
import { Receiver } from "../../backend/udp/tun/receiver.ts";
import type { SharedStateOptions } from "../../backend/udp/tun/shared_state.ts";
import {
  Transmitter,
  type TransmitterOptions,
} from "../../backend/udp/tun/transmitter.ts";
import type { IcmpPort } from "../../linux/icmp_socket.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryTun } from "../fakes/memory_tun.ts";
import { MemoryUdp } from "../fakes/memory_udp.ts";
import { KernelWorld } from "./kernel_world.ts";

/** As the worker lays the TUN's port out. */
export const TUN_LAYOUT = {
  readStart: layout.TX_BUFFER,
  readEnd: layout.TX_BUFFER + layout.TX_SLOTS * layout.TX_SLOT_BYTES,
  readStride: layout.TX_SLOT_BYTES,
  iovecsStart: layout.RX_IOV,
  iovecsEnd: layout.RX_OPEN_FLOWS,
} as const;

/** An ICMP socket that keeps what it is given. */
export class MemoryIcmp implements IcmpPort {
  readonly sent: { destination: number; message: Uint8Array }[] = [];
  /** Every send fails with this error number when it is not 0. */
  refusal = 0;

  send(destination: number, message: Uint8Array): number {
    if (this.refusal !== 0) return -this.refusal;
    this.sent.push({ destination, message });
    return message.length;
  }
}

/** See the module's text. */
export class PathWorld extends KernelWorld {
  readonly tun: MemoryTun;
  readonly udp: MemoryUdp;
  readonly icmpPort: MemoryIcmp = new MemoryIcmp();
  readonly clock: FakeClock = new FakeClock();
  readonly transmitter: Transmitter;
  readonly receiver: Receiver;
  /** How often the transmitter has waited for room in the socket. */
  waits = 0;

  constructor(
    options: Partial<SharedStateOptions & TransmitterOptions> = {},
  ) {
    super(options);
    this.tun = new MemoryTun(this.memory, TUN_LAYOUT);
    this.udp = new MemoryUdp(this.memory);
    const parts = {
      memory: this.memory,
      kernel: this.kernel,
      tun: this.tun,
      udp: this.udp,
      icmp: new IcmpResponder({
        memory: this.memory,
        port: this.icmpPort,
        clock: this.clock,
        addCount: this.kernel.addCount,
      }),
      clock: this.clock,
      waitForRoom: () => this.waits++,
    };
    this.transmitter = new Transmitter(parts, {
      segmentSends: options.segmentSends ?? true,
    });
    this.receiver = new Receiver(parts);
  }

  /** Lets the transmitter work until the device is empty. */
  transmitAll(): void {
    while (this.tun.waiting > 0 && this.transmitter.failure === 0) {
      this.transmitter.turn();
    }
  }

  /** Lets the receiver work until the socket is empty. */
  receiveAll(): void {
    while (this.udp.waiting > 0 && this.receiver.failure === 0) {
      this.receiver.turn();
    }
  }

  /** What has been sent: the lengths of each send's datagrams. */
  sends(): number[][] {
    return this.udp.sent.map(({ datagrams }) =>
      datagrams.map(({ length }) => length)
    );
  }
}
