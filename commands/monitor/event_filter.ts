/**
 * `--peer` and `--reason`: which events are shown.
 *
 * @module
 */

import type {
  EventOf,
  MonitorEvent,
} from "../../agent/monitor/monitor_event.ts";
import type { PeerStatus } from "../../agent/status/status_snapshot.ts";
import { UsageError } from "../../config/errors.ts";
import { nearMatch } from "../../config/near_match.ts";
import {
  type Cidr,
  cidrOf,
  formatCidr,
  overlaps,
  parseCidr,
} from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";

/** Shows everything unless told otherwise. */
export class EventFilter {
  readonly #reasons: ReadonlySet<string>;
  readonly #asked: Cidr | undefined;
  /** The peer's subnet and address, as far as they are known. */
  readonly #networks = new Map<string, Cidr>();

  /**
   * @param peer A subnet or an address: of a peer, of a host that is none, or of
   * a container.
   * @param reasons Names of counters, or the ends of such names.
   * @throws {UsageError} if `peer` is neither.
   */
  constructor(
    { peer, reasons = [] }: {
      readonly peer?: string | undefined;
      readonly reasons?: readonly string[] | undefined;
    },
  ) {
    this.#reasons = new Set(reasons);
    this.#asked = peer === undefined ? undefined : readNetwork(peer);
    if (this.#asked !== undefined) this.#add(this.#asked);
  }

  /** Whether it must know the peers. */
  get wantsPeers(): boolean {
    return this.#asked !== undefined;
  }

  /** A peer that there is: one that was asked for is known by both of its names. */
  know({ publicIp, subnet }: Pick<PeerStatus, "publicIp" | "subnet">): void {
    const names = [readNetwork(publicIp), readNetwork(subnet)];
    const asked = this.#asked;
    if (asked === undefined) return;
    if (names.some((name) => overlaps(name, asked))) names.forEach(this.#add);
  }

  readonly #add = (network: Cidr): void => {
    this.#networks.set(formatCidr(network), network);
  };

  /**
   * Refuses reasons that the agent never gives: nothing would be shown.
   *
   * @throws {UsageError}
   */
  checkReasons(known: readonly string[]): void {
    if (known.length === 0) return;
    for (const reason of this.#reasons) {
      if (known.some((name) => isNamed(name, reason))) continue;
      const near = nearMatch(reason, [...known, ...known.map(lastWord)]);
      throw new UsageError(
        "usage.reason",
        "Cannot run monitor: --reason must be one of the drops in " +
          `docs/datapath.md: current word is ${JSON.stringify(reason)}`,
        near === undefined ? {} : { hint: `did you mean ${near}?` },
      );
    }
  }

  /** Whether the event is shown; `line` is its text. */
  shows(event: MonitorEvent, line: string): boolean {
    switch (event.type) {
      case "start":
      case "source":
      case "lost":
        return true;
      case "drop":
        return this.#hasReason(event.reason) && this.#isBetween(event);
      case "suppressed":
        return this.#hasReason(event.reason) && this.#asked === undefined;
      case "peer":
        this.know(event);
        return this.#reasons.size === 0 &&
          (this.#isAmong(event.subnet) || this.#isAmong(event.publicIp));
      case "warning":
      case "log":
        return this.#reasons.size === 0 && this.#isMentioned(line);
    }
  }

  #hasReason(name: string): boolean {
    return this.#reasons.size === 0 ||
      [...this.#reasons].some((reason) => isNamed(name, reason));
  }

  #isBetween({ inner, outer }: EventOf<"drop">): boolean {
    return this.#asked === undefined ||
      [inner, outer].some((flow) =>
        flow !== null &&
        (this.#isAmong(flow.source) || this.#isAmong(flow.destination))
      );
  }

  #isAmong(text: string): boolean {
    if (this.#asked === undefined) return true;
    const network = readNetwork(text);
    return [...this.#networks.values()].some((each) => overlaps(each, network));
  }

  #isMentioned(line: string): boolean {
    if (this.#asked === undefined) return true;
    return (line.match(/\d+(?:\.\d+){3}(?:[/-]\d+)?/g) ?? [])
      .some((text) => {
        const network = parseNetwork(text.replace("-", "/"));
        return network !== undefined &&
          [...this.#networks.values()].some((each) => overlaps(each, network));
      });
  }
}

function isNamed(name: string, reason: string): boolean {
  return name === reason || lastWord(name) === reason;
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function readNetwork(text: string): Cidr {
  const network = parseNetwork(text);
  if (network !== undefined) return network;
  throw new UsageError(
    "usage.peer",
    "Cannot run monitor: --peer must be a subnet or an address: " +
      `current word is ${JSON.stringify(text)}`,
    { hint: "loden status lists the peers" },
  );
}

function parseNetwork(text: string): Cidr | undefined {
  const address = parseIpv4(text);
  return address === undefined ? parseCidr(text) : cidrOf(address, 32);
}
