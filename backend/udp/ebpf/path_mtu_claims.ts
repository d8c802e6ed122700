/**
 * What routers are believed to say about path MTUs.
 *
 * An ICMP message "fragmentation needed" comes from any router, so anyone can
 * forge one: the packet that it quotes proves little. The kernel takes it for the
 * peer's route. What such a message can do here is bounded:
 *
 * - a peer's route is looked at once a second at most, and ten routes a second;
 * - an MTU from 1280 bytes (RFC 8200) on is taken as it is;
 * - a smaller one is taken only after an echo request of 1280 bytes has found no
 *   answer, and never below 576 (RFC 791). A path that really is narrow is used
 *   with the MTU that its router names, a second later.
 *
 * The kernel forgets what a router said after `net.ipv4.route.mtu_expires`, ten
 * minutes, and so does this.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { describeError } from "../../../errors.ts";
import type { Clock } from "../../../linux/clock.ts";
import type { EchoAnswer } from "../../../linux/echo_request.ts";
import { formatIpv4, type Ipv4 } from "../../../net/ipv4.ts";

const log = getLogger(["loden", "backend"]);

/** Every path should pass it; below it a message is doubted. */
export const DOUBTED_BELOW_BYTES = 1_280;
/** Every host takes it: RFC 791. */
export const LEAST_PATH_MTU_BYTES = 576;
const LOOK_REST_MS = 1_000;
const LOOKS_PER_SECOND = 10;
const ANSWER_LIFE_MS = 600_000;
/** Each takes a socket for a second; what is beyond waits for the next look. */
const PROBES_AT_ONCE = 16;

/** What the claims need. */
export interface PathMtuClaimsParts {
  readonly clock: Pick<Clock, "monotonic">;
  /** Sends an echo request of so many bytes, headers included, with DF. */
  readonly probe: (address: Ipv4, bytes: number) => Promise<EchoAnswer>;
  /** What is believed of an address is not what it was. */
  readonly onChange: (address: Ipv4) => void;
}

interface Claim {
  /** `undefined`: the probe is on its way. */
  answer: EchoAnswer | undefined;
  readonly untilMs: number;
}

/** See the module. */
export class PathMtuClaims {
  readonly #parts: PathMtuClaimsParts;
  readonly #claims = new Map<Ipv4, Claim>();
  readonly #lookedAtMs = new Map<Ipv4, number>();
  #secondEndsMs = -Infinity;
  #looksLeft = 0;
  #probes = 0;

  constructor(parts: PathMtuClaimsParts) {
    this.#parts = parts;
  }

  /** Whether a peer's route may be looked at because of a message. */
  mayLook(address: Ipv4): boolean {
    const nowMs = this.#parts.clock.monotonic();
    if (nowMs >= this.#secondEndsMs) {
      this.#secondEndsMs = nowMs + 1_000;
      this.#looksLeft = LOOKS_PER_SECOND;
      for (const [each, atMs] of this.#lookedAtMs) {
        if (nowMs - atMs >= LOOK_REST_MS) this.#lookedAtMs.delete(each);
      }
    }
    if (this.#looksLeft === 0 || this.#lookedAtMs.has(address)) return false;
    this.#looksLeft--;
    this.#lookedAtMs.set(address, nowMs);
    return true;
  }

  /**
   * What is taken of an MTU that a router has named for a peer, bytes of the outer
   * packet; `undefined`: nothing.
   */
  believed(address: Ipv4, mtuBytes: number): number | undefined {
    if (mtuBytes >= DOUBTED_BELOW_BYTES) return mtuBytes;
    const nowMs = this.#parts.clock.monotonic();
    let claim = this.#claims.get(address);
    if (claim === undefined || nowMs >= claim.untilMs) {
      if (this.#probes === PROBES_AT_ONCE) return undefined;
      claim = { answer: undefined, untilMs: nowMs + ANSWER_LIFE_MS };
      this.#claims.set(address, claim);
      void this.#ask(address, claim);
    }
    return claim.answer === "none"
      ? Math.max(mtuBytes, LEAST_PATH_MTU_BYTES)
      : undefined;
  }

  async #ask(address: Ipv4, claim: Claim): Promise<void> {
    this.#probes++;
    try {
      claim.answer = await this.#parts.probe(address, DOUBTED_BELOW_BYTES);
    } catch (error) {
      // Without a way to ask, a narrow path must not become a black hole.
      claim.answer = "none";
      log.debug("a path MTU cannot be verified", {
        event: "backend.path-mtu-unverified",
        peer: formatIpv4(address),
        reason: describeError(error),
      });
    } finally {
      this.#probes--;
    }
    this.#parts.onChange(address);
  }

  /** For `loden status`. */
  details(): Record<string, string> {
    const nowMs = this.#parts.clock.monotonic();
    const lines: [string, string][] = [];
    for (const [address, { answer, untilMs }] of this.#claims) {
      if (nowMs >= untilMs) {
        this.#claims.delete(address);
        continue;
      }
      const seconds = Math.ceil((untilMs - nowMs) / 1_000);
      const text = answer === "arrived"
        ? `a message below ${DOUBTED_BELOW_BYTES} bytes was refuted, and is ignored`
        : answer === undefined
        ? "being verified"
        : `below ${DOUBTED_BELOW_BYTES} bytes, as a router said`;
      lines.push([
        `path MTU to ${formatIpv4(address)}`,
        `${text} (${seconds} s)`,
      ]);
    }
    return Object.fromEntries(lines);
  }
}
