/**
 * What the probes have found: for the status, as warnings and in the log.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../errors.ts";
import type { Clock } from "../../linux/clock.ts";
import { formatIpv4 } from "../../net/ipv4.ts";
import {
  trafficText,
  type Underlay,
  type UnderlayUse,
} from "../../net/underlay.ts";
import type { AgentState } from "../status/state.ts";
import {
  formatTime,
  type PeerProbeStatus,
  type ProbesStatus,
} from "../status/status_snapshot.ts";
import { ProbeAddressError } from "./errors.ts";
import type { ProbeState } from "./peer_probe.ts";
import type { ProbedPeer } from "./peer_probes.ts";
import type { ProbeService } from "./probe_service.ts";

const log = getLogger(["loden", "probe"]);

/** The warnings name so many peers. */
const MOST_NAMED = 3;

/** What cures depend on. */
export interface ProbeSurroundings {
  readonly underlay: () => Underlay | undefined;
  readonly underlayUse: () => UnderlayUse | undefined;
}

/** Follows one service. */
export class ProbeReport {
  readonly #state: AgentState;
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #surroundings: ProbeSurroundings;
  /** Unreachable peers that the log has named. */
  #down = new Map<string, ProbedPeer>();
  #counts: Readonly<Record<ProbeState, number>> = {
    reachable: 0,
    unreachable: 0,
    unknown: 0,
  };

  constructor(
    state: AgentState,
    clock: Pick<Clock, "now" | "monotonic">,
    surroundings: ProbeSurroundings,
  ) {
    this.#state = state;
    this.#clock = clock;
    this.#surroundings = surroundings;
  }

  /** Peers by what the probes say of them, as of the last second. */
  get counts(): Readonly<Record<ProbeState, number>> {
    return this.#counts;
  }

  /** Looks at all peers. */
  update(service: ProbeService): void {
    const counts = { reachable: 0, unreachable: 0, unknown: 0 };
    const down = new Map<string, ProbedPeer>();
    const narrow: ProbedPeer[] = [];
    const fullBytes = service.target?.mtuBytes ?? 0;
    for (const probed of service.peers.values()) {
      const { key, probe } = probed;
      counts[probe.state]++;
      if (probe.state === "unreachable") down.set(key, probed);
      else if ((probe.mtuBytes ?? fullBytes) < fullBytes) narrow.push(probed);
    }
    this.#counts = counts;
    this.#logChanges(down);
    this.#down = down;
    this.#reportService(service);
    this.#reportDown(counts.reachable + counts.unreachable);
    this.#reportNarrow(narrow, fullBytes);
  }

  /** The fields of one peer in the status. */
  peerStatus({ probe }: ProbedPeer): PeerProbeStatus {
    const { lastAnswerMs, lossRatio, mtuBytes, rttMs, state, way } = probe;
    return {
      state,
      since: this.#wallTime(probe.stateSinceMs),
      way: way ?? null,
      rttMs: rttMs === undefined ? null : rounded(rttMs),
      lossRatio: lossRatio === undefined ? null : rounded(lossRatio),
      mtuBytes: mtuBytes ?? null,
      lastAnswer: lastAnswerMs === undefined
        ? null
        : this.#wallTime(lastAnswerMs),
    };
  }

  /** The fields of all in the status. */
  status(service: ProbeService): ProbesStatus {
    const { address, counters, failure, port } = service;
    return {
      port,
      address: address === undefined ? null : formatIpv4(address),
      failure: failure === undefined ? null : describeError(failure),
      ...this.#counts,
      counters: { ...counters },
    };
  }

  /** By the age, which is right even if the wall clock has jumped since. */
  #wallTime(monotonicMs: number): string {
    return formatTime(
      this.#clock.now() - (this.#clock.monotonic() - monotonicMs),
    );
  }

  #logChanges(down: ReadonlyMap<string, ProbedPeer>): void {
    for (const [subnet, { peer }] of down) {
      if (this.#down.has(subnet)) continue;
      log.warn("a host does not answer in the overlay", {
        event: "probe.unreachable",
        subnet,
        publicIp: formatIpv4(peer.publicIp),
      });
    }
    for (const [subnet, { peer, probe }] of this.#down) {
      if (probe.state !== "reachable") continue;
      log.info("a host answers in the overlay again", {
        event: "probe.reachable",
        subnet,
        publicIp: formatIpv4(peer.publicIp),
      });
    }
  }

  /** An address that is missing comes with its bridge: nothing is wrong yet. */
  #reportService({ failure }: ProbeService): void {
    if (failure === undefined || failure instanceof ProbeAddressError) {
      this.#state.clear("probes.not-running");
      return;
    }
    const text = describeError(failure);
    if (!this.#state.raise("probes.not-running", text)) return;
    log.warn("hosts are not probed", {
      event: "probe.not-running",
      error: failure,
    });
  }

  #reportDown(decided: number): void {
    const peers = [...this.#down.values()];
    if (peers.length === 0) {
      this.#state.clear("peers.unreachable");
      return;
    }
    const outer = (this.#surroundings.underlayUse()?.traffic ?? [])
      .map((traffic) => {
        const { port, sourcePorts } = traffic;
        const from = sourcePorts === undefined
          ? ""
          : ` from ports ${sourcePorts} (with --source-port=fixed, from ${port} only)`;
        return trafficText(traffic) + from;
      });
    const fix = decided > 1 && peers.length === decided
      ? "check this host's own underlay and firewall first"
      : "check that the host is up";
    this.#state.raise(
      "peers.unreachable",
      `${peers.length} of ${decided} hosts do not answer in the overlay: ${
        named(peers)
      }: ${fix}, and that the underlay passes ${
        outer.length === 0 ? "the overlay's packets" : outer.join(" and ")
      } both ways`,
    );
  }

  #reportNarrow(narrow: readonly ProbedPeer[], fullBytes: number): void {
    const underlay = this.#surroundings.underlay();
    if (narrow.length === 0 || underlay === undefined) {
      this.#state.clear("peers.path-mtu");
      return;
    }
    const least = Math.min(...narrow.map(({ probe }) => probe.mtuBytes!));
    const lowerBytes = underlay.mtuBytes - (fullBytes - least);
    this.#state.raise(
      "peers.path-mtu",
      `the way to ${narrow.length} ${
        narrow.length === 1 ? "host" : "hosts"
      } is narrower than the overlay's MTU of ${fullBytes} bytes: ${
        named(
          narrow,
          ({ probe }) => `${probe.mtuBytes} bytes pass`,
        )
      }: raise the MTU on the way to ${underlay.mtuBytes}, or lower that of ${underlay.interfaceName} to ${lowerBytes} on all hosts`,
    );
  }
}

function named(
  peers: readonly ProbedPeer[],
  remark = ({ peer }: ProbedPeer) => formatIpv4(peer.publicIp),
): string {
  const first = peers
    .toSorted((a, b) => a.peer.subnet.address - b.peer.subnet.address)
    .slice(0, MOST_NAMED)
    .map((each) => `${each.key} (${remark(each)})`);
  const rest = peers.length - first.length;
  return [...first, ...rest === 0 ? [] : [`and ${rest} more`]].join(", ");
}

/** Three digits after the point. */
function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
