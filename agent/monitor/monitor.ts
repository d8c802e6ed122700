/**
 * What `loden monitor` shows: drops, peers, warnings and the log, while there is
 * a listener. Without one, nothing is read, kept or recorded.
 *
 * @module
 */

import { getLogger, type LogRecord } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import { slept } from "../../linux/clock.ts";
import { type DropReader, isDropCounter } from "../../net/dropped_packet.ts";
import type { PeerDiff } from "../../net/peer.ts";
import type { LogObservers } from "../logging/log_observers.ts";
import type { Warning } from "../status/health.ts";
import type { AgentState, DropSource } from "../status/state.ts";
import { formatTime } from "../status/status_snapshot.ts";
import { EventQueue } from "./event_queue.ts";
import {
  dropEvent,
  type EventOf,
  logLine,
  type MonitorEvent,
  peerEvent,
  warningEvent,
} from "./monitor_event.ts";

const log = getLogger(["loden", "agent"]);

/** Data paths keep what they drop for about as long. */
const READ_EVERY_MS = 100;
/** Counters are compared once a second. */
const READS_PER_COUNT = 10;
/** Levels of the log that are no news. */
const QUIET_LEVELS: readonly LogRecord["level"][] = ["trace", "debug"];
/** Each peer has an event of its own. */
const TOLD_ELSEWHERE = "peers.changed";

/** What the monitor needs. */
export interface MonitorComponents {
  readonly state: AgentState;
  readonly clock: Clock;
  readonly observeLog: LogObservers["add"];
}

/** What a listener gets. */
export interface ListenOptions {
  /** Whether it may see the bytes of packets. */
  readonly bytes: boolean;
}

interface Listener {
  readonly queue: EventQueue;
  readonly bytes: boolean;
}

/** The events of one listener, until it is disposed. */
export interface EventStream extends Disposable {
  /** The next lines; `undefined` at the end. */
  next(): Promise<string | undefined>;
}

/** See the module. */
export class Monitor {
  readonly #components: MonitorComponents;
  readonly #listeners = new Set<Listener>();
  /** Open while there are listeners. */
  #watching: Watching | undefined;
  #isStopped = false;

  constructor(components: MonitorComponents) {
    this.#components = components;
  }

  /** How many there are. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Begins to watch if this is the first listener. */
  listen({ bytes }: ListenOptions): EventStream {
    const { clock, state } = this.#components;
    const now = () => formatTime(clock.now());
    const queue = new EventQueue((count) =>
      JSON.stringify(
        { type: "lost", time: now(), count } satisfies EventOf<"lost">,
      )
    );
    const listener = { queue, bytes };
    const { instance, version } = state.identity;
    this.#watching ??= new Watching(this.#components, this.#listeners);
    this.#listeners.add(listener);
    send(listener, {
      type: "start",
      time: now(),
      schema: 1,
      version,
      instance,
      bytes,
    });
    send(listener, this.#watching.source());
    if (this.#isStopped) this.stop();
    return {
      next: () => queue.next(),
      [Symbol.dispose]: () => this.#leave(listener),
    };
  }

  /** Ends all streams. */
  stop(): void {
    this.#isStopped = true;
    for (const { queue } of this.#listeners) queue.close();
    this.#endWatching();
  }

  #leave(listener: Listener): void {
    listener.queue.close();
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#endWatching();
  }

  #endWatching(): void {
    this.#watching?.[Symbol.dispose]();
    this.#watching = undefined;
  }
}

function send({ bytes, queue }: Listener, news: MonitorEvent): void {
  queue.push(JSON.stringify(bytes ? news : withoutBytes(news)));
}

function withoutBytes(news: MonitorEvent): MonitorEvent {
  if (news.type !== "drop") return news;
  const { bytes: _bytes, ...rest } = news;
  return rest as MonitorEvent;
}

/** From the first listener to the last. */
class Watching implements Disposable {
  readonly #components: MonitorComponents;
  readonly #listeners: ReadonlySet<Listener>;
  readonly #owned = new DisposableStack();
  /** Those that record because of this. */
  readonly #readers = new Set<DropReader>();
  #warnings: ReadonlyMap<string, Warning>;
  /** As last told. */
  #told: readonly DropSource[];
  readonly #uncounted: UncountedDrops;
  /** A lasting failure is logged once. */
  #failure: string | undefined;

  constructor(
    components: MonitorComponents,
    listeners: ReadonlySet<Listener>,
  ) {
    const { observeLog, state } = components;
    this.#components = components;
    this.#listeners = listeners;
    this.#warnings = byCode(state.warnings());
    this.#told = this.#sources();
    this.#owned.defer(state.onChange(() => this.#onChange()));
    this.#owned.defer(state.onPeers((diff) => this.#onPeers(diff)));
    this.#owned.defer(observeLog((record) => this.#onLog(record)));
    this.#owned.defer(() => {
      for (const reader of this.#readers) this.#end(reader);
    });
    this.#uncounted = new UncountedDrops(this.#counters());
    this.#read();
    const ending = new AbortController();
    this.#owned.defer(() => ending.abort());
    this.#run(ending.signal);
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  /** What is listened to now. */
  source(): EventOf<"source"> {
    const backend = this.#components.state.parts.backend();
    const sources = this.#sources();
    const readers = sources.flatMap(({ reader }) => reader ?? []);
    return {
      type: "source",
      time: this.#time(),
      backend: backend?.type ?? null,
      dataPath: backend?.dataPath ?? null,
      drops: readers.length > 0,
      why: readers.length > 0 ? null : whyNoDrops(sources[0]),
      reasons: [...new Set(readers.flatMap(({ reasons }) => reasons))],
      link: readers[0]?.link ?? null,
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    for (let reads = 1; await slept(clock, READ_EVERY_MS, signal); reads++) {
      try {
        this.#look(reads % READS_PER_COUNT === 0);
      } catch (error) {
        // Counters that cannot be read now must not end the streams.
        this.#report(describeError(error));
      }
    }
  }

  #look(countsToo: boolean): void {
    // Before the records: what is counted by then has been recorded, if it is.
    const counters = countsToo ? this.#counters() : undefined;
    this.#read();
    if (counters !== undefined) this.#count(counters);
  }

  #read(): void {
    const sources = this.#sources();
    this.#tellSource(sources);
    const readers = new Set(sources.flatMap(({ reader }) => reader ?? []));
    for (const former of this.#readers) {
      if (!readers.has(former)) this.#end(former);
    }
    for (const reader of readers) {
      this.#readers.add(reader);
      try {
        for (const packet of reader.read()) {
          this.#uncounted.shown(packet.reason);
          this.#send(dropEvent(packet));
        }
        this.#failure = undefined;
      } catch (error) {
        this.#report(describeError(error));
      }
    }
  }

  #end(reader: DropReader): void {
    this.#readers.delete(reader);
    try {
      reader.end();
    } catch (error) {
      this.#report(describeError(error));
    }
  }

  #report(reason: string): void {
    if (reason === this.#failure) return;
    this.#failure = reason;
    log.warn("dropped packets cannot be read", {
      event: "monitor.drops-unreadable",
      reason,
    });
  }

  #count(counters: Readonly<Record<string, number>>): void {
    for (const [reason, count] of this.#uncounted.next(counters)) {
      this.#send({ type: "suppressed", time: this.#time(), reason, count });
    }
  }

  #counters(): Readonly<Record<string, number>> {
    return this.#components.state.parts.backend()?.counters ?? {};
  }

  #sources(): readonly DropSource[] {
    return this.#components.state.parts.dropSources();
  }

  /** A data path that changes has another reader: its status need not be asked. */
  #tellSource(sources: readonly DropSource[]): void {
    const before = this.#told;
    const isSame = sources.length === before.length &&
      sources.every(({ backendType, reader }, index) =>
        backendType === before[index]!.backendType &&
        reader === before[index]!.reader
      );
    if (isSame) return;
    this.#told = sources;
    this.#send(this.source());
  }

  #onChange(): void {
    const { clock, state } = this.#components;
    const before = this.#warnings;
    const after = byCode(state.warnings());
    this.#warnings = after;
    for (const [code, warning] of after) {
      const former = before.get(code);
      if (former?.text === warning.text) continue;
      const change = former === undefined ? "raised" : "changed";
      this.#send(warningEvent(change, warning, clock.now()));
    }
    for (const [code, warning] of before) {
      if (after.has(code)) continue;
      this.#send(warningEvent("cleared", warning, clock.now()));
    }
  }

  #onPeers({ added, changed, removed }: PeerDiff): void {
    const nowMs = this.#components.clock.now();
    for (const peer of added) this.#send(peerEvent("added", peer, nowMs));
    for (const peer of changed) this.#send(peerEvent("changed", peer, nowMs));
    for (const peer of removed) this.#send(peerEvent("removed", peer, nowMs));
  }

  #onLog(record: LogRecord): void {
    const { event } = record.properties;
    if (
      record.category[0] !== "loden" || typeof event !== "string" ||
      event === TOLD_ELSEWHERE || QUIET_LEVELS.includes(record.level)
    ) return;
    const line = logLine(record);
    for (const { queue } of this.#listeners) queue.push(line);
  }

  #send(news: MonitorEvent): void {
    for (const listener of this.#listeners) send(listener, news);
  }

  #time(): string {
    return formatTime(this.#components.clock.now());
  }
}

/** Drops that the counters know of and no record tells of. */
class UncountedDrops {
  #counted: Readonly<Record<string, number>>;
  /** Shown, and not yet seen in a counter: a counter is read a moment later. */
  readonly #shown = new Map<string, number>();

  constructor(counters: Readonly<Record<string, number>>) {
    this.#counted = counters;
  }

  shown(reason: string): void {
    this.#shown.set(reason, (this.#shown.get(reason) ?? 0) + 1);
  }

  /** By reason, since the last call. */
  next(counters: Readonly<Record<string, number>>): [string, number][] {
    const before = this.#counted;
    this.#counted = counters;
    return Object.entries(counters).flatMap(
      ([name, value]): [string, number][] => {
        if (!isDropCounter(name)) return [];
        // A backend that was restarted counts from 0.
        const grown = Math.max(0, value - (before[name] ?? 0));
        const shown = this.#shown.get(name) ?? 0;
        this.#shown.set(name, Math.max(0, shown - grown));
        return grown > shown ? [[name, grown - shown]] : [];
      },
    );
  }
}

function whyNoDrops(source: DropSource | undefined): string {
  if (source === undefined) return "no backend runs";
  return source.kernelAlone
    ? `the kernel alone moves the packets of the backend ${source.backendType}; ` +
      "it counts what it drops, and Loden does not see it"
    : "the kernel has no BPF ring buffers (Linux 5.8), or " +
      "--disable-feature=drop-events is set";
}

function byCode(warnings: readonly Warning[]): Map<string, Warning> {
  return new Map(warnings.map((warning) => [warning.code, warning]));
}
