/**
 * A place among the other hosts that a test gives and takes.
 *
 * @module
 */

import type {
  LeaseRequest,
  Membership,
  MembershipEvents,
  MembershipUpdate,
  SavedNetwork,
} from "../../agent/membership.ts";
import type { BackendAdvertisement } from "../../backend/backend.ts";
import type { Lease } from "../../lease/lease.ts";
import type { Clock } from "../../linux/clock.ts";
import { type Cidr, formatCidr, parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";

/** What a test can make go wrong. */
export interface FakeMembershipOptions {
  readonly clock: Clock;
  readonly onCall: (call: string) => void;
  readonly saved?: SavedNetwork;
  /** Held back until this resolves. */
  readonly acquireDelay?: () => Promise<void>;
}

/** Leases what it is told to, and passes on what a test sends. */
export class FakeMembership implements Membership {
  readonly events: MembershipEvents;
  readonly #options: FakeMembershipOptions;
  subnet: Cidr = parseCidr("10.1.5.0/24")!;
  /** Told as peers by the first listing; `undefined`: it does not come. */
  peers: string[] | undefined = ["10.1.6.0/24"];
  running = false;
  requested: LeaseRequest | undefined;
  readonly advertised: BackendAdvertisement[] = [];
  readonly updates: MembershipUpdate[] = [];
  readonly served: string[][] = [];

  constructor(events: MembershipEvents, options: FakeMembershipOptions) {
    this.events = events;
    this.#options = options;
  }

  saved(): Promise<SavedNetwork | undefined> {
    this.#options.onCall("membership.saved");
    return Promise.resolve(this.#options.saved);
  }

  async acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    this.#options.onCall("membership.acquire");
    this.requested = request;
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason), {
      once: true,
    });
    await Promise.race([this.#options.acquireDelay?.(), promise]);
    this.tell("held", null);
    return {
      name: formatCidr(this.subnet).replace("/", "-"),
      subnet: this.subnet,
      attributes: {
        publicIp: request.underlay.publicIp,
        backendType: request.advertisement.backendType,
      },
      etcdLeaseId: "1",
      createRevision: "1",
      modRevision: "1",
    };
  }

  confirmedAtMs(): number | undefined {
    return this.#options.clock.now();
  }

  serve(backendTypes: readonly string[]): void {
    this.served.push([...backendTypes]);
  }

  advertise(advertisement: BackendAdvertisement): void {
    this.advertised.push(advertisement);
  }

  update(change: MembershipUpdate): void {
    this.updates.push(change);
  }

  /** Another host has taken the subnet; this one has got another. */
  move(subnet: Cidr): void {
    this.subnet = subnet;
    this.events.onSubnetChanged(subnet);
    this.tell("held", null);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#options.onCall("membership.run");
    this.running = true;
    if (this.peers !== undefined) {
      await this.events.onPeers({
        added: this.peers.map((subnet) => ({
          subnet: parseCidr(subnet)!,
          publicIp: parseIpv4("192.0.2.12")!,
          backendType: "udp",
          stale: false,
        })),
        changed: [],
        removed: [],
      });
      this.events.onPeersKnown();
    }
    await new Promise((resolve) =>
      signal.addEventListener("abort", resolve, { once: true })
    );
    this.running = false;
    this.#options.onCall("membership.stop");
  }

  /** Reports a state of the lease. */
  tell(state: string, cause: string | null): void {
    this.events.onLease({
      subnet: state === "acquiring" ? null : formatCidr(this.subnet),
      state,
      cause,
      causeCode: cause === null ? null : "registry.unknown",
      since: new Date(this.#options.clock.now()).toISOString(),
      expires: null,
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
