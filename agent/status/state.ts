/**
 * The agent's state as one value: the source of `loden status`, of systemd's
 * STATUS and of the counters line in the log.
 *
 * @module
 */

import type { BackendStatus } from "../../backend/backend.ts";
import type { Clock } from "../../linux/clock.ts";
import type { DropReader } from "../../net/dropped_packet.ts";
import type { PeerDiff, PeerTraffic } from "../../net/peer.ts";
import { Health, type Warning, type WarningCode } from "./health.ts";
import {
  type AgentPhase,
  formatTime,
  type PeerProbeStatus,
  type PeerStatus,
  type ProbesStatus,
  type StatusSnapshot,
  type StatusSummary,
} from "./status_snapshot.ts";

/** What the agent can wait for; several at once are possible. */
export type WaitSubject =
  | "config"
  | "underlay"
  | "lease"
  | "addresses"
  | "data-path"
  | "firewall"
  | "files";

/** Another host as numbers, which cost less than texts: there may be thousands. */
export interface PeerState {
  readonly subnet: string;
  readonly stale: boolean;
  /** As in {@linkcode PeerStatus}; `undefined` without probes. */
  readonly probe: PeerProbeState | undefined;
}

/** See {@linkcode PeerProbeStatus}. */
export interface PeerProbeState {
  readonly state: PeerProbeStatus["state"];
  readonly rttMs: number | undefined;
  readonly lossRatio: number | undefined;
  readonly mtuBytes: number | undefined;
  /** Before how long the last answer came. */
  readonly answerAgeMs: number | undefined;
}

/** Who the agent is: fixed for its life. */
export interface AgentIdentity {
  readonly version: string;
  readonly pid: number;
  readonly instance: string;
  readonly etcdPrefix: string;
  readonly etcdEndpoints: readonly string[];
}

/** The parts of the snapshot that the agent sets as it learns them. */
export type AgentFacts = Pick<
  StatusSnapshot,
  | "ready"
  | "fromSavedState"
  | "network"
  | "subnet"
  | "underlay"
  | "overlay"
  | "lease"
  | "firewall"
  | "docker"
  | "files"
  | "web"
>;

/** A backend that runs, and what tells of its drops. */
export interface DropSource {
  readonly backendType: string;
  readonly reader: DropReader | undefined;
  /** Whether the kernel moves its packets without programs of ours. */
  readonly kernelAlone: boolean;
}

/** The parts that are read at the moment of the snapshot. */
export interface LiveParts {
  backend(): BackendStatus | undefined;
  backendRestarts(): number;
  peers(): readonly PeerStatus[];
  peerCount(): number;
  peerStates(): Iterable<PeerState>;
  /** How many subnets the network config allows; `undefined` until it is known. */
  subnetCount(): number | undefined;
  /** Of the peers that have counters of their own. */
  peerTraffic(): readonly PeerTraffic[];
  probes(): ProbesStatus | undefined;
  /** Of the present backend first; none if no backend runs. */
  dropSources(): readonly DropSource[];
}

const NO_PARTS: LiveParts = {
  backend: () => undefined,
  backendRestarts: () => 0,
  peers: () => [],
  peerCount: () => 0,
  peerStates: () => [],
  subnetCount: () => undefined,
  peerTraffic: () => [],
  probes: () => undefined,
  dropSources: () => [],
};

/** The agent's state and its listeners. */
export class AgentState {
  readonly #identity: AgentIdentity;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #peerListeners = new Set<(diff: PeerDiff) => void>();
  readonly #health: Health;
  #phase: AgentPhase = "starting";
  #phaseSinceMs: number;
  readonly #waitingFor = new Map<WaitSubject, string>();
  #facts: AgentFacts = {
    ready: false,
    fromSavedState: false,
    network: null,
    subnet: null,
    underlay: null,
    overlay: null,
    lease: null,
    firewall: null,
    docker: null,
    files: [],
    web: null,
  };
  #parts: LiveParts = NO_PARTS;

  constructor(identity: AgentIdentity, clock: Clock) {
    this.#identity = identity;
    this.#clock = clock;
    this.#health = new Health(clock);
    this.#phaseSinceMs = clock.now();
  }

  get identity(): AgentIdentity {
    return this.#identity;
  }

  get phase(): AgentPhase {
    return this.#phase;
  }

  get facts(): AgentFacts {
    return this.#facts;
  }

  get parts(): LiveParts {
    return this.#parts;
  }

  /** Enters a phase; what the former phase waited for is over. */
  enter(phase: AgentPhase): void {
    if (this.#phase !== phase) this.#phaseSinceMs = this.#clock.now();
    this.#phase = phase;
    this.#waitingFor.clear();
    this.#changed();
  }

  /** @returns whether the reason has changed and should be logged. */
  waitFor(what: WaitSubject, reason: string): boolean {
    if (this.#waitingFor.get(what) === reason) return false;
    this.#waitingFor.set(what, reason);
    this.#changed();
    return true;
  }

  /** Ends waiting for one of them; the agent may still wait for others. */
  stopWaitingFor(what: WaitSubject): void {
    if (this.#waitingFor.delete(what)) this.#changed();
  }

  set(facts: Partial<AgentFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
    this.#changed();
  }

  /** Sets the parts that the next snapshots read. */
  attach(parts: Partial<LiveParts>): void {
    this.#parts = { ...this.#parts, ...parts };
    this.#changed();
  }

  /** @returns whether it is new. */
  raise(code: WarningCode, text: string): boolean {
    const news = this.#health.raise(code, text);
    if (news) this.#changed();
    return news;
  }

  /** @returns whether it was raised. */
  clear(code: WarningCode): boolean {
    const was = this.#health.clear(code);
    if (was) this.#changed();
    return was;
  }

  warnings(): Warning[] {
    return this.#health.warnings();
  }

  /** When the next warning becomes visible; `undefined` if all are. */
  msUntilVisible(): number | undefined {
    return this.#health.msUntilVisible();
  }

  notReady(): Warning[] {
    return this.#health.notReady();
  }

  unhealthy(): Warning[] {
    return this.#health.unhealthy();
  }

  /** Calls `listener` after each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` with each change of peers, until the returned function is called. */
  onPeers(listener: (diff: PeerDiff) => void): () => void {
    this.#peerListeners.add(listener);
    return () => this.#peerListeners.delete(listener);
  }

  /** The backend has been given these changes. */
  tellPeers(diff: PeerDiff): void {
    for (const listener of this.#peerListeners) listener(diff);
  }

  /** The snapshot without the peers, of which there may be thousands. */
  summary(): StatusSummary {
    return { ...this.#compose([]), peerCount: this.#parts.peerCount() };
  }

  snapshot(): StatusSnapshot {
    return this.#compose(this.#parts.peers());
  }

  #compose(peers: readonly PeerStatus[]): StatusSnapshot {
    return {
      schema: 1,
      time: formatTime(this.#clock.now()),
      ...this.#identity,
      phase: this.#phase,
      phaseSince: formatTime(this.#phaseSinceMs),
      waitingFor: this.#waitingFor.size === 0
        ? null
        : [...this.#waitingFor.values()].join("; "),
      ...this.#facts,
      backend: this.#parts.backend() ?? null,
      backendRestarts: this.#parts.backendRestarts(),
      peers,
      probes: this.#parts.probes() ?? null,
      warnings: this.#health.warnings().map(({ sinceMs, ...warning }) => ({
        ...warning,
        since: formatTime(sinceMs),
      })),
    };
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
