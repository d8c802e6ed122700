import { assertEquals } from "@std/assert";
import {
  chooseReceiveMode,
  losesUdp,
  type UnderlayDevice,
} from "../../../../../backend/udp/ebpf/receive_mode.ts";

const TUNNEL_UDP = ["tx-udp_tnl-segmentation", "tx-udp-segmentation"];

/** A device with these offloads on; `tx-tcp-segmentation` is there and off. */
function device(
  kind: string,
  driver: string,
  active: readonly string[],
): UnderlayDevice {
  const names = ["rx-gro", "tx-tcp-segmentation", ...TUNNEL_UDP];
  return {
    kind,
    driver,
    features: new Map(names.map((name) => [
      name,
      { active: active.includes(name), requested: true, changeable: true },
    ])),
  };
}

const AUTO: readonly [string, UnderlayDevice, string][] = [
  ["hardware", device("", "ixgbe", ["rx-gro", "tx-tcp-segmentation"]), "gro"],
  ["hardware without offloads", device("", "e1000", []), "gro"],
  ["a hypervisor's card", device("", "virtio_net", ["rx-gro"]), "gro"],
  ["a VLAN", device("vlan", "802.1Q VLAN Support", ["rx-gro"]), "gro"],
  ["a bond", device("bond", "bonding", []), "gro"],
  ["a veth that does not merge", device("veth", "veth", []), "gro"],
  [
    "a veth that passes super-packets",
    device("veth", "veth", ["rx-gro", "tx-tcp-segmentation"]),
    "gro",
  ],
  [
    "a veth without GRO whose packets are whole",
    device("veth", "veth", ["tx-tcp-segmentation"]),
    "gro",
  ],
  [
    "a veth that receives packets one by one",
    device("veth", "veth", ["rx-gro"]),
    "xdp",
  ],
  ["a veth of unknown offloads", {
    kind: "veth",
    driver: "veth",
    features: new Map(),
  }, "gro"],
];
for (const [what, underlay, mode] of AUTO) {
  Deno.test(`from ${what}, packets are taken by ${mode}`, () => {
    assertEquals(chooseReceiveMode(underlay, "auto").mode, mode);
  });
}

Deno.test("what a person asks for is done on every device, and named as the reason", () => {
  for (const [, underlay] of AUTO) {
    for (const wanted of ["xdp", "gro", "direct"] as const) {
      if (wanted === "xdp" && underlay.kind === "bond") continue;
      assertEquals(chooseReceiveMode(underlay, wanted), {
        mode: wanted,
        reason: `set by --ebpf-receive=${wanted}`,
      });
    }
  }
});

Deno.test("a bond's packets are not taken by xdp, whatever a person asks for", () => {
  assertEquals(chooseReceiveMode(device("bond", "bonding", []), "xdp"), {
    mode: "gro",
    reason: "a bond runs XDP programs at its ports, not at itself",
  });
});

const VETH = device("veth", "veth", TUNNEL_UDP);
const HARDWARE = device("", "mlx5_core", TUNNEL_UDP);
const BOND = device("bond", "bonding", TUNNEL_UDP);

/** Whether UDP super-packets are lost, without and with the flag of the kernel. */
const LOSSES: readonly [
  string,
  UnderlayDevice,
  boolean,
  boolean,
  bottom?: readonly UnderlayDevice[],
][] = [
  ["a veth that cuts nothing", device("veth", "veth", TUNNEL_UDP), true, false],
  [
    "a hypervisor's card, behind which is another kernel",
    device("", "virtio_net", TUNNEL_UDP),
    true,
    true,
  ],
  [
    "hardware that cuts",
    device("", "mlx5_core", TUNNEL_UDP),
    false,
    false,
  ],
  [
    "a veth that gets no UDP super-packets",
    device("veth", "veth", ["tx-udp_tnl-segmentation"]),
    false,
    false,
  ],
  [
    "a veth that gets no tunnel's super-packets",
    device("veth", "veth", ["tx-udp-segmentation"]),
    false,
    false,
  ],
  ["a bond of hardware", BOND, false, false, [HARDWARE, HARDWARE]],
  ["a bond of which one port is a veth", BOND, true, false, [HARDWARE, VETH]],
  ["a bond that cuts", device("bond", "bonding", []), false, false, [VETH]],
  ["a bond whose ports cannot be seen", BOND, true, true],
];
for (const [what, underlay, without, withFlag, bottom] of LOSSES) {
  Deno.test(`behind ${what}, a peer ${without ? "loses" : "gets"} UDP super-packets, and ${withFlag ? "loses" : "gets"} them where decap-udp is used`, () => {
    const below = bottom ?? [underlay];
    assertEquals(losesUdp(underlay, below, false), without);
    assertEquals(losesUdp(underlay, below, true), withFlag);
  });
}
