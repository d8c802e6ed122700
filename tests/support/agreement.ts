/**
 * Both data paths side by side: whatever one of them is given, the other one must
 * do the same with it, but for the differences of `path_differences.ts`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Difference,
  expectedOnReceive,
  expectedOnSend,
} from "./path_differences.ts";
import {
  type Fate,
  ProgramPath,
  type Surroundings,
  UserSpacePath,
} from "./packet_paths.ts";
import { holderOf } from "./slow_packets.ts";
import { ipv4FromBytes } from "../../net/ipv4.ts";

const ETHERNET_BYTES = 14;
const IP_DESTINATION = 16;
/** What the user-space path changes in a packet: TTL and header checksum. */
const HOP_BYTES = [8, 10, 11];

/** See the module. */
export class Agreement implements Disposable {
  readonly surroundings: Surroundings;
  readonly programs: ProgramPath;
  readonly #userSpace: UserSpacePath;
  /** How often each fate was seen: so that none is missing. */
  readonly seen: Map<string, number> = new Map();
  /** How often each difference was. */
  readonly differed: Map<Difference, number> = new Map();

  constructor(
    surroundings: Surroundings,
    options: ConstructorParameters<typeof ProgramPath>[1] = {},
  ) {
    this.surroundings = surroundings;
    this.programs = new ProgramPath(surroundings, options);
    this.#userSpace = new UserSpacePath(surroundings);
  }

  /** Throws when the paths do not agree about a frame from the underlay. */
  receive(frame: Uint8Array, name = ""): Fate {
    const { fate: expected, by } = expectedOnReceive(
      frame,
      this.#userSpace.receive(frame),
      (sender, datagram) => this.#userSpace.judge(sender, datagram),
    );
    const actual = this.programs.receive(frame);
    this.#compare(actual, expected, by, frame, name);
    return actual;
  }

  /** Throws when the paths do not agree about a packet of the host. */
  send(packet: Uint8Array, name = ""): Fate {
    const peer = packet.length < IP_DESTINATION + 4 ? undefined : holderOf(
      ipv4FromBytes(packet, IP_DESTINATION),
      this.surroundings.peers,
    );
    const { fate: expected, by } = expectedOnSend(
      packet,
      this.#userSpace.send(packet),
      peer,
    );
    const actual = this.programs.send(packet);
    this.#compare(actual, expected, by, packet, name);
    if (actual.packet !== undefined) assertEquals(actual.packet, packet, name);
    return actual;
  }

  [Symbol.dispose](): void {
    this.programs[Symbol.dispose]();
    this.#userSpace[Symbol.dispose]();
  }

  #compare(
    actual: Fate,
    expected: Fate,
    by: readonly Difference[],
    given: Uint8Array,
    name: string,
  ): void {
    const about = `${name} ${given.toHex()} ${
      by.map(({ what }) => what).join(", ")
    }`;
    assertEquals(
      [actual.outcome, actual.peer],
      [expected.outcome, expected.peer],
      about,
    );
    const { "tx.cut": _, ...counters } = actual.counters;
    assertEquals(counters, expected.counters, about);
    assertEquals(
      actual.packet && atSameHop(actual.packet),
      expected.packet && atSameHop(expected.packet),
      about,
    );
    // What goes on is what came, to the last byte.
    const came = given.subarray(actual.outcome === "sent" ? 0 : ETHERNET_BYTES);
    assert(came.toHex().includes(actual.packet?.toHex() ?? ""), about);
    this.seen.set(actual.outcome, (this.seen.get(actual.outcome) ?? 0) + 1);
    for (const difference of by) {
      this.differed.set(difference, (this.differed.get(difference) ?? 0) + 1);
    }
  }
}

function atSameHop(packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  for (const offset of HOP_BYTES) copy[offset] = 0;
  return copy;
}
