/**
 * Durable state in one file per network (etcd prefix).
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import type { Clock } from "../../linux/clock.ts";
import type { RandomSource } from "../../linux/random.ts";
import { makeHostId } from "../host_id.ts";
import { decodeState, type DurableState, encodeState } from "./state_codec.ts";
import type { StateStore, StoredLease, StoredPeer } from "./state_store.ts";

const log = getLogger(["loden", "lease"]);

/**
 * Shortest interval between two writes: peers may change many times per second.
 */
const PAUSE_MS = 2_000;
/**
 * The next write is delayed by this multiple of the time that encoding took:
 * encoding thousands of peers blocks everything else for tens of milliseconds.
 */
const REST_PER_WORK = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Pause between two attempts on a full or read-only disk. */
const RETRY_MS = 30_000;
const OWNER_ONLY = { mode: 0o600, directoryMode: 0o700 };

/** What the store works with. */
export interface FileStateComponents {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Identifies the state. */
export interface FileStateOptions {
  /** The file: one per network. */
  readonly path: string;
  /** The underlay's hardware address as text; empty if there is none. */
  readonly underlayMac: string;
  /** Called after each write, with the error or without one. */
  readonly onResult?: (error: unknown | undefined) => void;
}

/**
 * Keeps the state in memory and writes the newest version in the background. If
 * the disk cannot be written, it continues in memory.
 */
export class FileStateStore implements StateStore {
  readonly #clock: Clock;
  readonly #path: string;
  readonly #onResult: (error: unknown | undefined) => void;
  readonly #closing = new AbortController();
  #state: DurableState;
  /**
   * Not evaluated yet: a list of thousands is built once per write, not per
   * change.
   */
  #newerPeers: (() => readonly StoredPeer[]) | undefined;
  #dirty = false;
  /** Ends the pause after the present write. */
  #hurry = new AbortController();
  /** How long the last encoding took. */
  #workMs = 0;
  #writing: Promise<void> | undefined;
  #lastReason: string | undefined;

  private constructor(
    clock: Clock,
    { path, onResult = () => {} }: FileStateOptions,
    state: DurableState,
  ) {
    this.#clock = clock;
    this.#path = path;
    this.#onResult = onResult;
    this.#state = state;
  }

  /**
   * Reads the file. A file that cannot be understood is renamed. A file that
   * was written on another underlay (a cloned machine) is not ours. In both
   * cases, and without a file, the state starts empty with a fresh host id.
   */
  static async open(
    { clock, random }: FileStateComponents,
    options: FileStateOptions,
  ): Promise<FileStateStore> {
    const { path, underlayMac } = options;
    const found = await readState(path);
    if (found !== undefined && found.underlayMac === underlayMac) {
      return new FileStateStore(clock, options, found);
    }
    if (found !== undefined) {
      log.warn("saved state belongs to another underlay and is not used", {
        event: "state.other-underlay",
        path,
        savedMac: found.underlayMac,
        underlayMac,
      });
    }
    const state = { hostId: makeHostId(random), underlayMac, peers: [] };
    const store = new FileStateStore(clock, options, state);
    store.#save({});
    return store;
  }

  get hostId(): string {
    return this.#state.hostId;
  }

  get configText(): string | undefined {
    return this.#state.configText;
  }

  get lease(): StoredLease | undefined {
    return this.#state.lease;
  }

  get peers(): readonly StoredPeer[] {
    if (this.#newerPeers !== undefined) {
      this.#state = { ...this.#state, peers: this.#newerPeers() };
      this.#newerPeers = undefined;
    }
    return this.#state.peers;
  }

  moveTo(underlayMac: string): void {
    if (underlayMac !== this.#state.underlayMac) this.#saveNow({ underlayMac });
  }

  saveConfig(configText: string): void {
    this.#saveNow({ configText });
  }

  saveLease(lease: StoredLease): void {
    this.#saveNow({ lease });
  }

  savePeers(peers: () => readonly StoredPeer[]): void {
    this.#newerPeers = peers;
    this.#save({});
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
    if (this.#dirty) await this.#write();
  }

  /** Without a delay, because the host may go down as soon as it is READY. */
  #saveNow(change: Partial<DurableState>): void {
    this.#save(change);
    this.#hurry.abort();
  }

  #save(change: Partial<DurableState>): void {
    this.#state = { ...this.#state, ...change };
    this.#dirty = true;
    this.#writing ??= this.#writeBehind();
  }

  /** Writes until there is nothing left to write, with pauses in between. */
  async #writeBehind(): Promise<void> {
    while (this.#dirty && !this.#closing.signal.aborted) {
      // Cleared before the write: changes during it belong to the next one.
      this.#hurry = new AbortController();
      const pauseEnds = AbortSignal.any([
        this.#closing.signal,
        this.#hurry.signal,
      ]);
      const written = await this.#write();
      const restMs = Math.max(PAUSE_MS, REST_PER_WORK * this.#workMs);
      const pauseMs = written ? Math.min(restMs, LONGEST_PAUSE_MS) : RETRY_MS;
      await this.#clock.sleep(pauseMs, pauseEnds).catch(() => {});
    }
    // In the same turn as the last check of the flag, so that nothing comes in
    // between.
    this.#writing = undefined;
  }

  /** @returns whether it was written. */
  async #write(): Promise<boolean> {
    this.#dirty = false;
    try {
      const startedAtMs = this.#clock.monotonic();
      const text = encodeState({ ...this.#state, peers: this.peers });
      this.#workMs = this.#clock.monotonic() - startedAtMs;
      await writeFileAtomically(this.#path, text, OWNER_ONLY);
      if (this.#lastReason !== undefined) {
        log.info("state is saved again", {
          event: "state.saved",
          path: this.#path,
        });
      }
      this.#lastReason = undefined;
      this.#onResult(undefined);
      return true;
    } catch (error) {
      this.#dirty = true;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#lastReason) {
        log.warn(
          "state cannot be saved: a restart while etcd is away would not find it",
          {
            event: "state.not-saved",
            path: this.#path,
            error,
          },
        );
      }
      this.#lastReason = reason;
      this.#onResult(error);
      return false;
    }
  }
}

async function readState(path: string): Promise<DurableState | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      log.warn("saved state cannot be read", {
        event: "state.unreadable",
        path,
        error,
      });
    }
    return undefined;
  }
  try {
    return decodeState(text);
  } catch (error) {
    await setAside(path, error);
    return undefined;
  }
}

/** The new name of a file that cannot be understood. */
export function unreadableStateFile(path: string): string {
  return `${path}.unreadable`;
}

/** Kept, so that you can find out what happened to it. */
async function setAside(path: string, error: unknown): Promise<void> {
  const aside = unreadableStateFile(path);
  log.warn("saved state cannot be understood and is set aside", {
    event: "state.set-aside",
    path,
    aside,
    error,
  });
  try {
    await Deno.rename(path, aside);
  } catch (error) {
    log.warn("saved state cannot be set aside", {
      event: "state.set-aside-failed",
      path,
      error,
    });
  }
}
