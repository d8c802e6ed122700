import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  planAcquisition,
  type PreviousSubnet,
} from "../../../../lease/own/acquisition_plan.ts";
import type { Lease, LeaseAttributes } from "../../../../lease/lease.ts";
import { leaseName, parseLeaseName } from "../../../../lease/lease_codec.ts";
import type { LeaseSnapshot } from "../../../../lease/registry.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import type { SubnetPool } from "../../../../net/subnet_pool.ts";

const pool: SubnetPool = {
  network: parseCidr("10.1.0.0/16")!,
  subnetLength: 24,
  first: parseIpv4("10.1.1.0")!,
  last: parseIpv4("10.1.255.0")!,
};

const us: LeaseAttributes = {
  publicIp: parseIpv4("198.51.100.1")!,
  backendType: "udp",
  hostId: "us",
};

interface Entry {
  readonly name: string;
  readonly ip?: string;
  readonly hostId?: string;
  readonly reserved?: boolean;
  readonly created?: number;
  readonly written?: number;
}

function lease(
  { name, ip = "198.51.100.2", hostId, reserved, created = 1, written }: Entry,
): Lease {
  const subnet = parseLeaseName(name);
  if (!subnet.ok) throw new Error(subnet.reason);
  return {
    name,
    subnet: subnet.value,
    etcdLeaseId: reserved ? "0" : "7",
    createRevision: String(created),
    modRevision: String(written ?? created),
    attributes: {
      publicIp: parseIpv4(ip)!,
      backendType: "udp",
      ...(hostId === undefined ? {} : { hostId }),
    },
  };
}

function snapshot(entries: Entry[], unreadable: string[] = []): LeaseSnapshot {
  return {
    leases: entries.map(lease),
    rejected: unreadable.map((text) => ({
      key: `/p/subnets/${text}`,
      reason: "the value must be JSON",
      version: {
        name: text,
        subnet: parseCidr(text.replace("-", "/"))!,
        etcdLeaseId: "7",
        createRevision: "1",
        modRevision: "1",
      },
    })),
    revision: "1",
  };
}

function remembered(
  subnetFile?: string,
  state?: string,
): PreviousSubnet[] {
  return [
    ...(subnetFile
      ? [{ subnet: parseCidr(subnetFile)!, source: "subnet-file" as const }]
      : []),
    ...(state ? [{ subnet: parseCidr(state)!, source: "state" as const }] : []),
  ];
}

/** The plan in a few words: `own 10.1.5.0/24`, `- 10.1.9.0-24`. */
function plan(
  entries: Entry[],
  previous: PreviousSubnet[] = [],
  options: { unreadable?: string[]; attributes?: LeaseAttributes } = {},
): string {
  const { discard, step } = planAcquisition(
    snapshot(entries, options.unreadable),
    pool,
    options.attributes ?? us,
    previous,
  );
  const words = step.type === "renew"
    ? `${step.reason} ${formatCidr(step.lease.subnet)}`
    : step.type === "create"
    ? `${step.reason} ${formatCidr(step.subnet)}`
    : `allocate beside ${step.held.map(formatCidr).join(" ") || "nobody"}`;
  return [words, ...discard.map(({ name }) => `- ${name}`)].join(" ");
}

const ours = { ip: "198.51.100.1", hostId: "us" };

Deno.test("an empty store means any free subnet", () => {
  assertEquals(plan([]), "allocate beside nobody");
});

Deno.test("a lease with our host id comes before everything", () => {
  assertEquals(
    plan(
      [
        { name: "10.1.4.0-24", ip: "198.51.100.1" },
        { name: "10.1.5.0-24", ...ours },
      ],
      remembered("10.1.6.1/24", "10.1.7.0/24"),
    ),
    "own 10.1.5.0/24",
  );
});

Deno.test("a lease with our host id is ours with another PublicIP too", () => {
  assertEquals(
    plan([{ name: "10.1.5.0-24", ip: "198.51.100.77", hostId: "us" }]),
    "own 10.1.5.0/24",
  );
});

Deno.test("of several leases with our host id the remembered one is kept, the others go", () => {
  const entries = [
    { name: "10.1.5.0-24", ...ours },
    { name: "10.1.6.0-24", ...ours },
  ];
  assertEquals(
    plan(entries, remembered("10.1.6.1/24")),
    "own 10.1.6.0/24 - 10.1.5.0-24",
  );
  assertEquals(plan(entries), "own 10.1.5.0/24 - 10.1.6.0-24");
});

Deno.test("a lease of ours that no longer fits the config goes", () => {
  assertEquals(
    plan([{ name: "10.2.5.0-24", ...ours }, { name: "10.1.5.0-25", ...ours }]),
    "allocate beside nobody - 10.2.5.0-24 - 10.1.5.0-25",
  );
});

Deno.test("flannel's lease with our PublicIP is adopted", () => {
  assertEquals(
    plan([{ name: "10.1.5.0-24", ip: "198.51.100.1" }]),
    "adopted 10.1.5.0/24",
  );
});

Deno.test("flannel's lease with our PublicIP that does not fit goes", () => {
  assertEquals(
    plan([{ name: "10.1.5.0-26", ip: "198.51.100.1" }]),
    "allocate beside nobody - 10.1.5.0-26",
  );
});

Deno.test("flannel's dual-stack lease of this host does not fit an IPv4 config", () => {
  assertEquals(
    plan([{ name: "10.1.5.0-24&fc00:0:0:5::-64", ip: "198.51.100.1" }]),
    "allocate beside nobody - 10.1.5.0-24&fc00:0:0:5::-64",
  );
});

Deno.test("a reservation for our PublicIP comes before flannel's other lease", () => {
  assertEquals(
    plan([
      { name: "10.1.4.0-24", ip: "198.51.100.1" },
      { name: "10.1.5.0-24", ip: "198.51.100.1", reserved: true },
    ]),
    "adopted 10.1.5.0/24",
  );
});

Deno.test("a lease with our PublicIP and another host id is taken over if it fits, and never deleted", () => {
  assertEquals(
    plan([{ name: "10.1.5.0-24", ip: "198.51.100.1", hostId: "them" }]),
    "taken-over 10.1.5.0/24",
  );
  assertEquals(
    plan([{ name: "10.1.5.0-25", ip: "198.51.100.1", hostId: "them" }]),
    "allocate beside 10.1.5.0/25",
  );
});

Deno.test("without a lease the subnet file comes before the state directory", () => {
  const previous = remembered("10.1.6.1/24", "10.1.7.0/24");
  assertEquals(plan([], previous), "subnet-file 10.1.6.0/24");
  assertEquals(
    plan([{ name: "10.1.6.0-24" }], previous),
    "state 10.1.7.0/24",
  );
});

Deno.test("a remembered subnet is not taken when it overlaps a lease of another length", () => {
  assertEquals(
    plan([{ name: "10.1.6.128-25" }], remembered("10.1.6.1/24")),
    "allocate beside 10.1.6.128/25",
  );
});

Deno.test("a remembered subnet is not taken when it does not fit the config", () => {
  assertEquals(
    plan([], remembered("10.9.6.1/24", "10.1.6.0/25")),
    "allocate beside nobody",
  );
});

Deno.test("a subnet whose value cannot be read counts as held", () => {
  assertEquals(
    plan([], remembered("10.1.6.1/24"), { unreadable: ["10.1.6.0-24"] }),
    "allocate beside 10.1.6.0/24",
  );
});

Deno.test("a lease that is about to be deleted does not stand in the way", () => {
  assertEquals(
    plan([{ name: "10.1.6.0-25", ...ours }], remembered("10.1.6.1/24")),
    "subnet-file 10.1.6.0/24 - 10.1.6.0-25",
  );
});

Deno.test("of overlapping leases the oldest stays, whichever was renewed last", () => {
  const younger = { created: 6, written: 6 };
  const older = { created: 5, written: 9 };
  const theirs = { name: "10.1.5.128-25", ip: "198.51.100.3", hostId: "them" };
  const claims = [
    ["own", { hostId: "us" }],
    ["adopted", { ip: "198.51.100.1" }],
    ["adopted", { ip: "198.51.100.1", reserved: true }],
  ] as const;
  for (const [reason, claim] of claims) {
    const ours = { name: "10.1.5.0-24", ...claim };
    assertStringIncludes(
      plan([{ ...ours, ...younger }, { ...theirs, ...older }]),
      "allocate",
    );
    assertEquals(
      plan([{ ...ours, ...older }, { ...theirs, ...younger }]),
      `${reason} 10.1.5.0/24`,
    );
  }
});

Deno.test("without a host id of our own only the address speaks for us", () => {
  const { hostId: _, ...attributes } = us;
  assertEquals(
    plan(
      [{ name: "10.1.5.0-24" }, { name: "10.1.6.0-24", ip: "198.51.100.1" }],
      [],
      {
        attributes,
      },
    ),
    "adopted 10.1.6.0/24",
  );
  assertEquals(leaseName(parseCidr("10.1.6.0/24")!), "10.1.6.0-24");
});
