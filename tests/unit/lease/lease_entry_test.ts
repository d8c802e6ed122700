import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { planAcquisition } from "../../../lease/own/acquisition_plan.ts";
import type { Lease } from "../../../lease/lease.ts";
import { encodeLeaseValue, leaseName } from "../../../lease/lease_codec.ts";
import {
  decodeDeletedKey,
  decodeLeaseEntry,
  LONGEST_VALUE_BYTES,
  type RawEntry,
} from "../../../lease/lease_entry.ts";
import { PeerSet } from "../../../lease/peers/peer_set.ts";
import type { RejectedLease } from "../../../lease/registry.ts";
import { decodeState, encodeState } from "../../../lease/saved/state_codec.ts";
import { cidrOf, parseCidr } from "../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../net/ipv4.ts";
import { hostIdOf } from "../../support/host_ids.ts";
import { FUZZ_CASES } from "../../support/fuzz_cases.ts";

const PREFIX = "/coreos.com/network/subnets/";
const bytesOf = (text: string) => new TextEncoder().encode(text);

function entry(key: Uint8Array, value: Uint8Array): RawEntry {
  return {
    key,
    value,
    lease: "7",
    create_revision: "3",
    mod_revision: "4",
  };
}

function decode(name: string, value: string): Lease | RejectedLease {
  return decodeLeaseEntry(
    PREFIX,
    entry(bytesOf(PREFIX + name), bytesOf(value)),
  );
}

/** Valid JSON around odd fields. */
const oddValue = fc.record({
  PublicIP: fc.oneof(
    fc.constantFrom("198.51.100.1", "198.51.100.2", "10.1.7.7"),
    fc.jsonValue(),
  ),
  BackendType: fc.oneof(fc.constantFrom("udp", "", "vxlan"), fc.jsonValue()),
  BackendData: fc.jsonValue(),
  LodenHostId: fc.oneof(
    fc.constantFrom(hostIdOf(1), hostIdOf(2), "\ud800", "..", ""),
    fc.string({ unit: "binary" }),
    fc.jsonValue(),
  ),
  LodenDataPath: fc.oneof(fc.constantFrom("ebpf", "tun"), fc.jsonValue()),
  __proto__x: fc.jsonValue(),
}, { requiredKeys: [] }).map((fields) =>
  JSON.stringify(fields).replace("__proto__x", "__proto__")
);

const valueBytes = fc.oneof(
  { weight: 3, arbitrary: oddValue.map(bytesOf) },
  { weight: 1, arbitrary: fc.json().map(bytesOf) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
);
const subnetKey = fc.tuple(
  fc.integer({ min: 0x0a010000, max: 0x0a01ffff }),
  fc.integer({ min: 14, max: 31 }),
).map(([address, length]) =>
  bytesOf(PREFIX + leaseName(cidrOf(toIpv4(address), length)))
);
const keyBytes = fc.oneof(
  { weight: 4, arbitrary: subnetKey },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 32 }).map((tail) =>
      Uint8Array.of(...bytesOf(PREFIX), ...tail)
    ),
  },
);

Deno.test("no keys and values in etcd make a host throw: what it takes, who its peers are, what it saves", () => {
  const network = parseCidr("10.1.0.0/16")!;
  const publicIp = parseIpv4("198.51.100.1")!;
  const us = { publicIp, backendType: "udp", hostId: hostIdOf(1) };
  const pool = {
    network,
    subnetLength: 24,
    first: parseIpv4("10.1.1.0")!,
    last: parseIpv4("10.1.255.0")!,
  };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(keyBytes, valueBytes), { maxLength: 8 }),
      (entries) => {
        const leases: Lease[] = [];
        const rejected: RejectedLease[] = [];
        for (const [key, value] of entries) {
          const read = decodeLeaseEntry(PREFIX, entry(key, value));
          decodeDeletedKey(PREFIX, key);
          if ("attributes" in read) leases.push(read);
          else {
            rejected.push(read);
            assert(read.reason !== "");
          }
        }
        const snapshot = { leases, rejected, revision: "4" };
        const { step } = planAcquisition(snapshot, pool, us, []);
        if (step.type === "renew") {
          encodeLeaseValue({ ...step.lease.attributes, ...us });
        }
        const set = new PeerSet(
          { network, subnet: parseCidr("10.1.5.0/24")!, ...us },
          1_000,
        );
        set.replace(leases, 0);
        set.replace(leases.slice(1), 1);
        const peers = set.stored(1, 1);
        const state = { hostId: us.hostId, underlayMac: "", peers };
        assertEquals(
          decodeState(encodeState(state)).peers.length,
          peers.length,
        );
        for (const { attributes: { hostId } } of leases) {
          if (hostId !== undefined) assertMatch(hostId, /^[0-9a-f]{32}$/);
        }
      },
    ),
    { numRuns: FUZZ_CASES },
  );
});

Deno.test("a value that nests as deeply as fits is written again, one that is longer is refused", () => {
  const head = '{"PublicIP":"198.51.100.1","BackendData":';
  const depth = Math.floor((LONGEST_VALUE_BYTES - head.length - 1) / 2);
  const nested = (levels: number) =>
    `${head}${"[".repeat(levels)}${"]".repeat(levels)}}`;
  const read = decode("10.1.9.0-24", nested(depth)) as Lease;
  assert(encodeLeaseValue(read.attributes).includes("[[[["));
  const longer = decode("10.1.9.0-24", nested(depth + 1)) as RejectedLease;
  assertMatch(longer.reason, /must have at most 65536 bytes/);
  assertEquals(longer.version?.subnet, parseCidr("10.1.9.0/24"));
});

Deno.test("keys and values that are not UTF-8 are refused with a reason", () => {
  const key = Uint8Array.of(...bytesOf(PREFIX), 0xff);
  assertMatch(
    (decodeLeaseEntry(PREFIX, entry(key, bytesOf("{}"))) as RejectedLease)
      .reason,
    /key must be UTF-8/,
  );
  const value = Uint8Array.of(0xff);
  assertMatch(
    (decodeLeaseEntry(
      PREFIX,
      entry(bytesOf(`${PREFIX}10.1.9.0-24`), value),
    ) as RejectedLease).reason,
    /value must be UTF-8/,
  );
  assertEquals(decodeDeletedKey(PREFIX, key), undefined);
});
