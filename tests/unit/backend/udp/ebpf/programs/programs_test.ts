import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { MAPS } from "../../../../../../backend/udp/ebpf/maps.ts";
import type {
  HostConstants,
} from "../../../../../../backend/udp/ebpf/programs/constants.ts";
import {
  egressProgram,
  hopProgram,
  ingressProgram,
  programName,
  xdpProgram,
} from "../../../../../../backend/udp/ebpf/programs/programs.ts";
import { assemble } from "../../../../../../linux/bpf/assemble.ts";
import { toIpv4 } from "../../../../../../net/ipv4.ts";
import { FakeBpf } from "../../../../../fakes/fake_bpf.ts";
import { HOST, newMaps } from "../../../../../support/ebpf_world.ts";
import { network } from "../../../../../support/kernel_world.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
/** What the kernel takes of a name. */
const MOST_NAME_BYTES = 15;
/** Of a page that the verifier looks at, generously. */
const MOST_SLOTS = 4096;
const DESCRIPTORS = Object.fromEntries(
  Object.keys(MAPS).map((name, index) => [name, index + 10]),
);

const maps = newMaps(new FakeBpf());
const specs = (host: HostConstants, mac = MAC) => ({
  tx: egressProgram(host, maps),
  hop: hopProgram(host, maps),
  rxDirect: ingressProgram(host, "direct", maps),
  rxMerge: ingressProgram(host, "merge", maps),
  xdp: xdpProgram(host, mac, maps),
});
type Role = keyof ReturnType<typeof specs>;
const ROLES: readonly Role[] = ["tx", "hop", "rxDirect", "rxMerge", "xdp"];

/** The programs' bytes. */
function bytesOf(host: HostConstants, mac = MAC): Record<Role, string> {
  return Object.fromEntries(
    Object.entries(specs(host, mac)).map(([role, { build }]) => [
      role,
      assemble(build(), { maps: DESCRIPTORS }).toHex(),
    ]),
  ) as Record<Role, string>;
}

Deno.test("names say what a program is and whose, within what the kernel takes", () => {
  const names = Object.values(specs(HOST)).map(({ name }) => name);
  assertEquals(names, [
    `loden_tx_${HOST.suffix}`,
    `loden_hop_${HOST.suffix}`,
    `loden_rx_${HOST.suffix}`,
    `loden_rx_${HOST.suffix}`,
    `loden_xdp_${HOST.suffix}`,
  ]);
  for (const role of ["egress", "hop", "ingress", "xdp"] as const) {
    assert(programName(role, HOST.suffix).length <= MOST_NAME_BYTES);
  }
});

Deno.test("only the driver's program is of the type xdp", () => {
  const types = Object.values(specs(HOST)).map(({ type }) => type);
  const others = Array(4).fill("schedCls");
  assertEquals(types, [...others, "xdp"]);
});

Deno.test("programs are the same whenever they are built", () => {
  assertEquals(bytesOf(HOST), bytesOf({ ...HOST }));
});

Deno.test("programs are small, whatever the check of senders", () => {
  for (const senderCheck of ["strict", "count", "off"] as const) {
    for (const cutUdp of [false, true]) {
      for (
        const hex of Object.values(
          bytesOf({ ...HOST, senderCheck, cutUdp }),
        )
      ) {
        assert(hex.length / 16 < MOST_SLOTS);
      }
    }
  }
});

/** A host that differs in one thing, and the programs that know of it. */
const CONSTANTS: readonly [string, Partial<HostConstants>, readonly Role[]][] =
  [
    ["mark", { mark: 99 }, ["rxDirect", "rxMerge", "xdp"]],
    [
      "subnet",
      { subnet: network("10.1.4.0/24") },
      ["hop", "rxDirect", "rxMerge", "xdp"],
    ],
    [
      "prefix length",
      { subnet: network("10.1.1.0/25") },
      ["hop", "rxDirect", "rxMerge", "xdp"],
    ],
    ["underlay address", { underlayAddress: toIpv4(0xc000_0209) }, ROLES],
    ["port", { port: 8472 }, ROLES],
    [
      "check of senders",
      { senderCheck: "off" },
      ["hop", "rxDirect", "rxMerge"],
    ],
    [
      "device's index",
      { device: { ...HOST.device, interfaceIndex: 77 } },
      ["hop", "rxDirect", "rxMerge"],
    ],
    [
      "device's address",
      { device: { ...HOST.device, mac: MAC } },
      ["hop", "rxDirect", "rxMerge", "xdp"],
    ],
    [
      "other end's index",
      { hop: { ...HOST.hop, interfaceIndex: 78 } },
      ["hop", "rxMerge"],
    ],
    [
      "other end's address",
      { hop: { ...HOST.hop, mac: MAC } },
      ["tx", "hop", "rxDirect", "rxMerge"],
    ],
    ["cutting of UDP", { cutUdp: true }, ["tx"]],
    ["decapsulation", { decapUdp: true }, ["hop", "rxDirect", "rxMerge"]],
  ];

for (const [name, change, affected] of CONSTANTS) {
  Deno.test(`another ${name} makes other programs of ${affected.join(", ")}, and of no other`, () => {
    const before = bytesOf(HOST);
    const after = bytesOf({ ...HOST, ...change });
    const changed = ROLES.filter((role) => before[role] !== after[role]);
    assertEquals(changed, [...affected]);
  });
}

Deno.test("the driver's program takes frames of its own device only", () => {
  const other = Uint8Array.of(2, 0, 0, 0, 0, 8);
  assertNotEquals(bytesOf(HOST).xdp, bytesOf(HOST, other).xdp);
});

Deno.test("the flag that resets the tunnel state is in one instruction, together with the other flag", () => {
  const instructions = (decapUdp: boolean, role: Role) =>
    bytesOf({ ...HOST, decapUdp })[role].match(/.{16}/g)!;
  for (const role of ["hop", "rxDirect", "rxMerge"] as const) {
    const before = instructions(false, role);
    const changed = instructions(true, role)
      .flatMap((after, at) =>
        after === before[at] ? [] : [[before[at], after]]
      );
    // mov R4, 1 << 0; mov R4, 1 << 0 | 1 << 10.
    assertEquals(changed, [["b704000001000000", "b704000001040000"]]);
  }
});
