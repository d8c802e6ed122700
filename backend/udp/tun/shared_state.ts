/**
 * The main thread's side of the memory shared with the workers.
 *
 * @module
 */

import { type Cidr, netmask } from "../../../net/cidr.ts";
import type { PeerDiff } from "../../../net/peer.ts";
import type { SenderCheck } from "../data_path.ts";
import { ChangingPeerTable } from "./changing_peer_table.ts";
import { readCounters } from "./counters.ts";
import * as layout from "./layout.ts";

/** As the WASM module declares its memory: `tools/build_wasm.ts`. */
export const MEMORY_PAGES = { initial: 16, maximum: 1024 } as const;

/** The content of the memory when the worker starts. */
export interface SharedStateOptions {
  readonly network: Cidr;
  readonly subnet: Cidr;
  readonly senderCheck: SenderCheck;
  /** Of the overlay. */
  readonly mtuBytes: number;
  readonly coalesceTcp: boolean;
  readonly coalesceUdp: boolean;
}

const SENDER_CHECKS: Readonly<Record<SenderCheck, number>> = {
  strict: layout.SENDER_CHECK_STRICT,
  count: layout.SENDER_CHECK_COUNT,
  off: layout.SENDER_CHECK_OFF,
};

interface Region {
  readonly offset: number;
  readonly bytes: number;
}

/** Control words, counters and the two peer tables. */
export class SharedState {
  readonly memory: WebAssembly.Memory;
  readonly #peers: ChangingPeerTable;
  /** The table in use, and the one that is written next. */
  #active: Region;
  #spare: Region;

  constructor(options: SharedStateOptions) {
    this.memory = new WebAssembly.Memory({ ...MEMORY_PAGES, shared: true });
    this.#peers = new ChangingPeerTable(options.network);
    const half = (MEMORY_PAGES.initial * layout.PAGE_BYTES - layout.TABLES) / 2;
    this.#active = { offset: layout.TABLES, bytes: half };
    this.#spare = { offset: layout.TABLES + half, bytes: half };
    const words = this.#words();
    words[layout.CONFIG_OWN_SUBNET >> 2] = options.subnet.address;
    words[layout.CONFIG_OWN_MASK >> 2] = netmask(options.subnet.prefixLength);
    words[layout.CONFIG_SENDER_CHECK >> 2] = SENDER_CHECKS[options.senderCheck];
    words[layout.CONFIG_MTU >> 2] = options.mtuBytes;
    words[layout.CONFIG_COALESCE_TCP >> 2] = Number(options.coalesceTcp);
    words[layout.CONFIG_COALESCE_UDP >> 2] = Number(options.coalesceUdp);
    this.changePeers({ added: [], changed: [], removed: [] });
  }

  // A view does not grow with its memory, so each is made when it is needed.
  #words(): Uint32Array {
    return new Uint32Array(this.memory.buffer);
  }

  /** Asks the worker to leave its loop; wake it as well. */
  requestStop(): void {
    Atomics.store(this.#words(), layout.CONTROL_STOP >> 2, 1);
  }

  get peerCount(): number {
    return this.#peers.peerCount;
  }

  /**
   * Writes a table next to the one in use and selects it as the next one. Call
   * it again only after {@linkcode peersTaken} has resolved.
   */
  changePeers(diff: PeerDiff): void {
    const offset = this.#peers.write(diff, (bytes) => {
      if (bytes > this.#spare.bytes) this.#spare = this.#allocate(bytes);
      return { offset: this.#spare.offset, words: this.#words() };
    });
    const table = this.#spare;
    Atomics.store(this.#words(), layout.CONTROL_TABLE_WANTED >> 2, offset);
    this.#spare = this.#active;
    this.#active = table;
  }

  /** Twice what is needed, so that a growing cluster seldom comes here. */
  #allocate(bytes: number): Region {
    const pages = Math.ceil(2 * bytes / layout.PAGE_BYTES);
    const before = this.memory.grow(pages);
    return {
      offset: before * layout.PAGE_BYTES,
      bytes: pages * layout.PAGE_BYTES,
    };
  }

  /** Resolves to whether all workers use the table written last, in time. */
  async peersTaken(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    return await this.#taken(layout.CONTROL_TABLE_ACTIVE, deadline) &&
      // A helper that is not ready yet takes the table when it gets work.
      (this.#words()[layout.CONTROL_HELPER_READY >> 2] === 0 ||
        await this.#taken(layout.CONTROL_TABLE_HELPER, deadline));
  }

  async #taken(word: number, deadline: number): Promise<boolean> {
    const signals = new Int32Array(this.memory.buffer);
    const index = word >> 2;
    for (;;) {
      const current = Atomics.load(signals, index);
      if (current === this.#active.offset) return true;
      const left = deadline - performance.now();
      if (left <= 0) return false;
      await Atomics.waitAsync(signals, index, current, left).value;
    }
  }

  counters(): Record<string, number> {
    return readCounters(this.memory.buffer);
  }
}
