import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Lease } from "../../../../lease/lease.ts";
import { leaseName, parseLeaseName } from "../../../../lease/lease_codec.ts";
import { type PeerSelf, PeerSet } from "../../../../lease/peers/peer_set.ts";
import { formatCidr, overlaps, parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../../../net/peer.ts";

const GRACE_MS = 600_000;
const self: PeerSelf = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.1.0/24")!,
  publicIp: parseIpv4("198.51.100.1")!,
  backendType: "udp",
  hostId: "us",
};

function lease(
  name: string,
  ip: string,
  more: Partial<Lease["attributes"]> = {},
): Lease {
  const subnet = parseLeaseName(name);
  if (!subnet.ok) throw new Error(subnet.reason);
  return {
    name,
    subnet: subnet.value,
    etcdLeaseId: "7",
    createRevision: "1",
    modRevision: "1",
    attributes: { publicIp: parseIpv4(ip)!, backendType: "udp", ...more },
  };
}

const show = (peer: Peer) =>
  `${formatCidr(peer.subnet)} ${formatIpv4(peer.publicIp)}${
    peer.stale ? " stale" : ""
  }`;

/** `+ 10.1.5.0/24 198.51.100.5`, `~` for a change, `-` for a removal. */
function told({ added, changed, removed }: PeerDiff): string[] {
  return [
    ...added.map((peer) => `+ ${show(peer)}`),
    ...changed.map((peer) => `~ ${show(peer)}`),
    ...removed.map((peer) => `- ${formatCidr(peer.subnet)}`),
  ].sort();
}

const two = lease("10.1.2.0-24", "198.51.100.2");
const three = lease("10.1.3.0-24", "198.51.100.3");

function make(...leases: Lease[]): PeerSet {
  const set = new PeerSet(self, GRACE_MS);
  set.replace(leases, 0);
  return set;
}

Deno.test("leases are peers, our own is not", () => {
  const set = new PeerSet(self, GRACE_MS);
  const ours = lease("10.1.1.0-24", "198.51.100.1", { hostId: "us" });
  assertEquals(told(set.replace([ours, two, three], 0)), [
    "+ 10.1.2.0/24 198.51.100.2",
    "+ 10.1.3.0/24 198.51.100.3",
  ]);
  assertEquals(set.notices, []);
});

Deno.test("our own subnet in foreign hands is no peer either", () => {
  assertEquals(make(lease("10.1.1.0-24", "198.51.100.9")).peers, []);
});

Deno.test("a renewal changes nothing", () => {
  const set = make(two);
  assertEquals(told(set.put([{ ...two, modRevision: "9" }])), []);
  assertEquals(told(set.replace([two], 1)), []);
});

Deno.test("a changed PublicIP is a change, by an event and by a snapshot", () => {
  const set = make(two);
  assertEquals(told(set.put([lease("10.1.2.0-24", "198.51.100.22")])), [
    "~ 10.1.2.0/24 198.51.100.22",
  ]);
  assertEquals(told(set.replace([two], 1)), ["~ 10.1.2.0/24 198.51.100.2"]);
});

Deno.test("changed backend data is a change", () => {
  const set = make(lease("10.1.2.0-24", "198.51.100.2", { backendData: 1 }));
  const next = lease("10.1.2.0-24", "198.51.100.2", { backendData: 2 });
  assertEquals(told(set.put([next])), ["~ 10.1.2.0/24 198.51.100.2"]);
});

Deno.test("a changed data path is a change, and is kept with a stale peer", () => {
  const on = (dataPath: "ebpf" | "tun") =>
    lease("10.1.2.0-24", "198.51.100.2", { dataPath });
  const set = make(two);
  assertEquals(told(set.put([on("ebpf")])), ["~ 10.1.2.0/24 198.51.100.2"]);
  assertEquals(told(set.put([on("ebpf")])), []);
  assertEquals(told(set.put([on("tun")])), ["~ 10.1.2.0/24 198.51.100.2"]);
  const [stale] = set.change([], [two.name], 1).changed;
  assertEquals(stale?.dataPath, "tun");
  assertEquals(told(set.put([two])), ["~ 10.1.2.0/24 198.51.100.2"]);
});

Deno.test("a vanished peer is stale for its grace and then gone", () => {
  const set = make(two, three);
  assertEquals(told(set.change([], [two.name], 1_000)), [
    "~ 10.1.2.0/24 198.51.100.2 stale",
  ]);
  assertEquals(told(set.expire(GRACE_MS + 999)), []);
  assert(set.hasStale);
  assertEquals(told(set.expire(GRACE_MS + 1_000)), ["- 10.1.2.0/24"]);
  assert(!set.hasStale);
});

Deno.test("a peer that comes back in its grace goes on as if nothing had been", () => {
  const set = make(two);
  set.change([], [two.name], 0);
  assertEquals(told(set.put([two])), ["~ 10.1.2.0/24 198.51.100.2"]);
  assertEquals(told(set.expire(10 * GRACE_MS)), []);
});

Deno.test("the grace period does not restart with each snapshot", () => {
  const set = make(two);
  set.replace([], 1_000);
  set.replace([], GRACE_MS);
  assertEquals(told(set.expire(GRACE_MS + 1_000)), ["- 10.1.2.0/24"]);
});

Deno.test("an empty snapshot leaves every peer stale, none removed", () => {
  const set = make(two, three);
  assertEquals(told(set.replace([], 0)), [
    "~ 10.1.2.0/24 198.51.100.2 stale",
    "~ 10.1.3.0/24 198.51.100.3 stale",
  ]);
});

Deno.test("another holder of a stale peer's subnet takes its place", () => {
  const set = make(two);
  set.change([], [two.name], 0);
  assertEquals(told(set.put([lease("10.1.2.0-24", "198.51.100.4")])), [
    "~ 10.1.2.0/24 198.51.100.4",
  ]);
});

Deno.test("a lease that overlaps a stale peer's subnet ends its grace", () => {
  const set = make(two);
  set.change([], [two.name], 0);
  assertEquals(told(set.put([lease("10.1.2.128-25", "198.51.100.4")])), [
    "+ 10.1.2.128/25 198.51.100.4",
    "- 10.1.2.0/24",
  ]);
});

Deno.test("a host that has another subnet now ends its old one's grace", () => {
  const set = make(two);
  set.change([], [two.name], 0);
  assertEquals(told(set.put([lease("10.1.9.0-24", "198.51.100.2")])), [
    "+ 10.1.9.0/24 198.51.100.2",
    "- 10.1.2.0/24",
  ]);
});

Deno.test("a peer that moved before its old key vanished has no grace", () => {
  const set = make(two, lease("10.1.9.0-24", "198.51.100.2"));
  assertEquals(told(set.change([], [two.name], 0)), ["- 10.1.2.0/24"]);
});

Deno.test("two leases of one host that vanish together both have their grace", () => {
  const set = make(two, lease("10.1.9.0-24", "198.51.100.2"));
  assertEquals(told(set.replace([], 0)), [
    "~ 10.1.2.0/24 198.51.100.2 stale",
    "~ 10.1.9.0/24 198.51.100.2 stale",
  ]);
});

Deno.test("leases with our address, over our subnet or of another backend are reported and no peers", () => {
  const set = make(
    lease("10.1.4.0-24", "198.51.100.1"),
    lease("10.1.1.128-25", "198.51.100.5"),
    lease("10.1.0.0-16", "198.51.100.6"),
    lease("10.1.7.0-24", "198.51.100.7", { backendType: "vxlan" }),
    lease("10.1.8.0-24", "198.51.100.8", { hostId: "us" }),
  );
  assertEquals(set.peers, []);
  assertEquals(set.notices.map(({ code, name }) => `${name} ${code}`), [
    "10.1.4.0-24 our-address",
    "10.1.1.128-25 overlaps-us",
    "10.1.0.0-16 overlaps-us",
    "10.1.7.0-24 other-backend",
    "10.1.8.0-24 our-host-id",
  ]);
});

Deno.test("a lease outside the network, or with an address in it, is reported and no peer", () => {
  const set = make(
    two,
    lease("128.0.0.0-1", "198.51.100.3"),
    lease("10.2.3.0-24", "198.51.100.4"),
    lease("10.1.5.0-24", "10.1.2.7"),
    lease("10.1.6.0-24", "10.1.200.7"),
    lease("10.1.7.0-24", "10.2.0.7"),
  );
  assertEquals(set.peers.map(show), [
    "10.1.2.0/24 198.51.100.2",
    "10.1.7.0/24 10.2.0.7",
  ]);
  assertEquals(set.notices.map(({ name, code }) => `${name} ${code}`), [
    "128.0.0.0-1 outside-network",
    "10.2.3.0-24 outside-network",
    "10.1.5.0-24 address-in-overlay",
    "10.1.6.0-24 address-in-overlay",
  ]);
  const wider = { ...self, network: parseCidr("10.0.0.0/14")! };
  assertEquals(told(set.moveTo(wider)), [
    "+ 10.2.3.0/24 198.51.100.4",
    "- 10.1.7.0/24",
  ]);
});

Deno.test("a notice ends with its reason", () => {
  const set = make(
    lease("10.1.7.0-24", "198.51.100.7", { backendType: "vxlan" }),
  );
  assertEquals(told(set.put([lease("10.1.7.0-24", "198.51.100.7")])), [
    "+ 10.1.7.0/24 198.51.100.7",
  ]);
  assertEquals(set.notices, []);
});

Deno.test("a peer that changes to another backend is removed, without grace", () => {
  const set = make(two);
  const other = lease("10.1.2.0-24", "198.51.100.2", { backendType: "vxlan" });
  assertEquals(told(set.put([other])), ["- 10.1.2.0/24"]);
});

/** The same lease, with the revision at which its key was created. */
const created = (revision: number, lease: Lease): Lease => ({
  ...lease,
  createRevision: String(revision),
});

Deno.test("a longer prefix inside another host's lease is no peer, and both keys are named", () => {
  const owner = created(1, lease("10.1.2.0-24", "198.51.100.2"));
  const thief = created(2, lease("10.1.2.64-26", "198.51.100.3"));
  const set = make(owner, thief, created(3, three));
  assertEquals(set.peers.map(show).sort(), [
    "10.1.2.0/24 198.51.100.2",
    "10.1.3.0/24 198.51.100.3",
  ]);
  assertEquals(
    set.notices.map(({ code, name, reason }) => [code, name, reason]),
    [[
      "overlap",
      "10.1.2.64-26",
      "it overlaps the older lease 10.1.2.0-24 of 198.51.100.2",
    ]],
  );
  // Once the owner is gone, the other may be one that came after it.
  assertEquals(told(set.change([], [owner.name], 0)), [
    "+ 10.1.2.64/26 198.51.100.3",
    "- 10.1.2.0/24",
  ]);
  assertEquals(set.notices, []);
  assertEquals(told(set.put([owner])), [
    "+ 10.1.2.0/24 198.51.100.2",
    "- 10.1.2.64/26",
  ]);
});

Deno.test("a shorter prefix over other hosts' leases takes none of them, whenever it comes", () => {
  const owners = [created(1, two), created(2, three)];
  const wide = created(3, lease("10.1.2.0-23", "198.51.100.4"));
  const set = make(...owners);
  assertEquals(told(set.put([wide])), []);
  assertEquals(make(wide, ...owners).peers.map(show).sort(), [
    "10.1.2.0/24 198.51.100.2",
    "10.1.3.0/24 198.51.100.3",
  ]);
});

Deno.test("overlapping leases of one host are both peers", () => {
  const set = make(
    created(1, two),
    created(2, lease("10.1.2.64-26", "198.51.100.2")),
  );
  assertEquals([set.peers.length, set.notices.length], [2, 0]);
});

Deno.test("of two keys for one subnet the plain one counts, the dual-stack one stands in", () => {
  const dual = lease("10.1.2.0-24&fc00:0:0:2::-64", "198.51.100.22");
  const set = make(dual);
  assertEquals(set.peers.map(show), ["10.1.2.0/24 198.51.100.22"]);
  assertEquals(told(set.put([two])), ["~ 10.1.2.0/24 198.51.100.2"]);
  assertEquals(told(set.change([], [two.name], 0)), [
    "~ 10.1.2.0/24 198.51.100.22",
  ]);
  assertEquals(told(set.change([], [dual.name], 0)), [
    "~ 10.1.2.0/24 198.51.100.22 stale",
  ]);
});

Deno.test("what a run saved the next one knows, with what is left of the grace", () => {
  const set = make(two, three);
  set.change([], [three.name], 100_000);
  const stored = set.stored(200_000, 1_000_000_000);
  const next = new PeerSet(self, GRACE_MS);
  assertEquals(told(next.restore(stored, 5_000, 1_000_050_000)), [
    "+ 10.1.2.0/24 198.51.100.2",
    "+ 10.1.3.0/24 198.51.100.3 stale",
  ]);
  // 150 s of its grace are over.
  assertEquals(told(next.expire(5_000 + GRACE_MS - 150_001)), []);
  assertEquals(told(next.expire(5_000 + GRACE_MS - 150_000)), [
    "- 10.1.3.0/24",
  ]);
  assertEquals(told(next.replace([], 10_000)), [
    "~ 10.1.2.0/24 198.51.100.2 stale",
  ]);
});

Deno.test("saved peers that are none for us any more are not restored", () => {
  const next = new PeerSet(self, GRACE_MS);
  const stored = [
    { ...make(two).peers[0]!, publicIp: self.publicIp },
    { ...make(two).peers[0]!, subnet: self.subnet },
    { ...make(two).peers[0]!, backendType: "vxlan" },
  ];
  assertEquals(told(next.restore(stored, 0, 0)), []);
});

Deno.test("how many a snapshot would take away is known before", () => {
  const set = make(
    two,
    three,
    lease("10.1.7.0-24", "198.51.100.7", { backendType: "vxlan" }),
  );
  assertEquals(set.countMissing([three]), { live: 2, missing: 1 });
  set.change([], [two.name], 0);
  assertEquals(set.countMissing([]), { live: 1, missing: 1 });
});

Deno.test("a host with another subnet and address judges all leases again", () => {
  const set = make(
    two,
    three,
    lease("10.1.4.0-24", "198.51.100.1"),
    lease("10.1.5.0-24", "198.51.100.5", { hostId: "us" }),
    lease("10.1.1.0-25", "198.51.100.6"),
    lease("10.1.7.0-24", "198.51.100.7"),
    lease("10.1.8.0-24", "198.51.100.8"),
  );
  set.change([], ["10.1.7.0-24", "10.1.8.0-24"], 0);
  const moved = {
    ...self,
    subnet: parseCidr("10.1.2.0/24")!,
    publicIp: parseIpv4("198.51.100.7")!,
  };
  assertEquals(told(set.moveTo(moved)), [
    "+ 10.1.1.0/25 198.51.100.6",
    "+ 10.1.4.0/24 198.51.100.1",
    "- 10.1.2.0/24",
    "- 10.1.7.0/24",
  ]);
  assertEquals(set.notices.map(({ name, code }) => `${name} ${code}`), [
    "10.1.5.0-24 our-host-id",
  ]);
  assertEquals(told(set.expire(GRACE_MS)), ["- 10.1.8.0/24"]);
  assertEquals(told(set.moveTo(moved)), []);
});

// A slow model, with the rules written down one after the other.

type Operation =
  | { readonly type: "put"; readonly lease: Lease }
  | { readonly type: "vanish"; readonly name: string }
  | { readonly type: "replace"; readonly leases: readonly Lease[] }
  | { readonly type: "wait"; readonly milliseconds: number }
  | { readonly type: "move"; readonly self: PeerSelf };

class Model {
  self = self;
  live = new Map<string, Lease>();
  stale = new Map<string, { lease: Lease; at: number }>();
  now = 0;

  apply(operation: Operation): void {
    switch (operation.type) {
      case "put":
        return this.put(operation.lease);
      case "vanish":
        return this.vanish(operation.name);
      case "replace":
        for (const lease of operation.leases) this.put(lease);
        return this.vanish(
          ...[...this.live.keys()].filter((name) =>
            !operation.leases.some((lease) => lease.name === name)
          ),
        );
      case "wait":
        this.now += operation.milliseconds;
        for (const [name, { at }] of this.stale) {
          if (this.now - at >= GRACE_MS) this.stale.delete(name);
        }
        return;
      case "move":
        this.self = operation.self;
        for (const [name, lease] of this.live) {
          if (this.isOurs(lease)) this.live.delete(name);
        }
        for (const [name, { lease }] of this.stale) {
          if (!this.isPeer(lease)) this.stale.delete(name);
        }
    }
  }

  isOurs({ subnet }: Lease): boolean {
    return formatCidr(subnet) === formatCidr(this.self.subnet);
  }

  isPeer({ subnet, attributes }: Lease): boolean {
    const { network } = this.self;
    return !overlaps(subnet, this.self.subnet) &&
      subnet.prefixLength >= network.prefixLength &&
      overlaps(subnet, network) &&
      !overlaps({ address: attributes.publicIp, prefixLength: 32 }, network) &&
      attributes.publicIp !== this.self.publicIp &&
      attributes.backendType === this.self.backendType;
  }

  put(lease: Lease): void {
    if (this.isOurs(lease)) return;
    this.live.set(lease.name, lease);
    this.stale.delete(lease.name);
    for (const [name, old] of this.stale) {
      if (claims(lease, old.lease)) this.stale.delete(name);
    }
  }

  vanish(...names: string[]): void {
    const gone = names.flatMap((name) => this.live.get(name) ?? []);
    for (const { name } of gone) this.live.delete(name);
    for (const lease of gone) {
      const claimed = [...this.live.values()].some((other) =>
        claims(other, lease)
      );
      if (!claimed && this.isPeer(lease)) {
        this.stale.set(lease.name, { lease, at: this.now });
      }
    }
  }

  peers(): string[] {
    const bySubnet = new Map<string, string>();
    const offer = (lease: Lease, stale: boolean) => {
      const subnet = formatCidr(lease.subnet);
      const { publicIp } = lease.attributes;
      bySubnet.set(
        subnet,
        show({ subnet: lease.subnet, publicIp, backendType: "udp", stale }),
      );
    };
    for (const { lease } of this.stale.values()) offer(lease, true);
    const accepted: Lease[] = [];
    const byAge = [...this.live.values()].sort((a, b) =>
      Number(a.createRevision) - Number(b.createRevision) ||
      a.subnet.prefixLength - b.subnet.prefixLength
    );
    for (const lease of byAge) {
      const isRefused = accepted.some(({ subnet, attributes }) =>
        formatCidr(subnet) !== formatCidr(lease.subnet) &&
        overlaps(subnet, lease.subnet) &&
        attributes.publicIp !== lease.attributes.publicIp
      );
      if (!this.isPeer(lease) || isRefused) continue;
      accepted.push(lease);
      offer(lease, false);
    }
    return [...bySubnet.values()].sort();
  }
}

function claims(living: Lease, vanished: Lease): boolean {
  return living.attributes.publicIp === vanished.attributes.publicIp ||
    overlaps(living.subnet, vanished.subnet);
}

const leaseArbitrary = fc.record({
  subnet: fc.constantFrom(
    ..."10.0.0.0/15 10.2.1.0/24 10.1.0.0/16 10.1.1.0/24 10.1.1.0/25 10.1.2.0/24 10.1.2.0/25 10.1.2.128/25 10.1.3.0/24 10.1.4.0/24 10.1.5.0/24"
      .split(" "),
  ),
  host: fc.constantFrom(
    ..."198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 198.51.100.5 10.1.2.9"
      .split(" "),
  ),
  backendType: fc.constantFrom("udp", "udp", "udp", "vxlan"),
  revision: fc.integer({ min: 1, max: 4 }),
}).map(({ subnet, host, backendType, revision }) =>
  created(
    revision,
    lease(leaseName(parseCidr(subnet)!), host, { backendType }),
  )
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  leaseArbitrary.map((lease): Operation => ({ type: "put", lease })),
  leaseArbitrary.map(({ name }): Operation => ({ type: "vanish", name })),
  fc.uniqueArray(leaseArbitrary, { selector: ({ name }) => name, maxLength: 6 })
    .map((leases): Operation => ({ type: "replace", leases })),
  fc.integer({ min: 0, max: GRACE_MS }).map((milliseconds): Operation => ({
    type: "wait",
    milliseconds,
  })),
  fc.record({
    lease: leaseArbitrary,
    network: fc.constantFrom("10.1.0.0/16", "10.0.0.0/8"),
  }).map(({ network, lease: { subnet, attributes: { publicIp } } }) => ({
    type: "move" as const,
    self: { ...self, network: parseCidr(network)!, subnet, publicIp },
  })),
);

Deno.test("after any history the diffs add up to the peers of a slow model", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const set = new PeerSet(self, GRACE_MS);
      const model = new Model();
      const follower = new Map<string, string>();
      for (const operation of operations) {
        model.apply(operation);
        const diff = run(set, operation, model.now);
        follow(follower, diff);
        const expected = model.peers();
        assertEquals([...follower.values()].sort(), expected);
        assertEquals(set.peers.map(show).sort(), expected);
      }
    }),
    { numRuns: 1_000 },
  );
});

function run(set: PeerSet, operation: Operation, now: number): PeerDiff {
  switch (operation.type) {
    case "put":
      return set.put([operation.lease]);
    case "vanish":
      return set.change([], [operation.name], now);
    case "replace":
      return set.replace(operation.leases, now);
    case "wait":
      return set.expire(now);
    case "move":
      return set.moveTo(operation.self);
  }
}

/** A consumer that insists on what the words of a diff mean. */
function follow(follower: Map<string, string>, diff: PeerDiff): void {
  for (const peer of diff.removed) {
    assert(follower.delete(formatCidr(peer.subnet)));
  }
  for (const peer of diff.added) {
    assert(!follower.has(formatCidr(peer.subnet)));
    follower.set(formatCidr(peer.subnet), show(peer));
  }
  for (const peer of diff.changed) {
    assert(follower.get(formatCidr(peer.subnet)) !== show(peer));
    follower.set(formatCidr(peer.subnet), show(peer));
  }
}

Deno.test("after any history a listing leaves the peers that a new set has of it", () => {
  const listing = fc.uniqueArray(leaseArbitrary, {
    selector: ({ name }) => name,
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 40 }),
      listing,
      (operations, leases) => {
        const set = new PeerSet(self, GRACE_MS);
        const follower = new Map<string, string>();
        for (const operation of operations) {
          follow(follower, run(set, operation, 0));
        }
        follow(follower, set.moveTo(self));
        follow(follower, set.replace(leases, 0));
        follow(follower, set.expire(GRACE_MS));
        const fresh = new PeerSet(self, GRACE_MS);
        fresh.replace(leases, 0);
        const expected = fresh.peers.map(show).sort();
        assertEquals([...follower.values()].sort(), expected);
        assertEquals(
          set.notices.map(({ name, code }) => `${name} ${code}`).sort(),
          fresh.notices.map(({ name, code }) => `${name} ${code}`).sort(),
        );
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("of ten thousand leases those that change are told, and no other", () => {
  const many = Array.from({ length: 10_000 }, (_, i) =>
    lease(
      `10.${2 + (i >> 8)}.${i & 255}.0-24`,
      `198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`,
    ));
  const set = new PeerSet(
    { ...self, network: parseCidr("10.0.0.0/8")! },
    GRACE_MS,
  );
  assertEquals(set.replace(many, 0).added.length, 10_000);
  const moved = many.slice(0, 100).map((lease) => ({
    ...lease,
    attributes: { ...lease.attributes, publicIp: parseIpv4("9.9.9.9")! },
  }));
  assertEquals(set.put(moved.slice(0, 1)).changed.length, 1);
  const { added, changed, removed } = set.replace(
    [...moved, ...many.slice(100, 9_990)],
    1,
  );
  assertEquals(added.length + removed.length, 0);
  assertEquals(changed.length, 99 + 10);
});

Deno.test("during a change of backend, leases of a former one are peers until it ends", () => {
  const set = new PeerSet({ ...self, backendType: "vxlan" }, GRACE_MS);
  const changed = lease("10.1.3.0-24", "198.51.100.3", {
    backendType: "vxlan",
  });
  assertEquals(told(set.replace([two, changed], 0)), [
    "+ 10.1.3.0/24 198.51.100.3",
  ]);
  const changing = {
    ...self,
    backendType: "vxlan",
    formerBackendTypes: ["udp"],
  };
  assertEquals(told(set.moveTo(changing)), ["+ 10.1.2.0/24 198.51.100.2"]);
  assertEquals(set.notices, []);
  assertEquals(
    told(set.moveTo({ ...changing, formerBackendTypes: [] })),
    ["- 10.1.2.0/24"],
  );
  assertEquals(set.notices.map(({ code }) => code), ["other-backend"]);
});
