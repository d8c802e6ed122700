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
      assertEquals(chooseReceiveMode(underlay, wanted), {
        mode: wanted,
        reason: `set by --ebpf-receive=${wanted}`,
      });
    }
  }
});

/** Whether UDP super-packets are lost, without and with the flag of the kernel. */
const LOSSES: readonly [string, UnderlayDevice, boolean, boolean][] = [
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
];
for (const [what, underlay, without, withFlag] of LOSSES) {
  Deno.test(`behind ${what}, a peer ${without ? "loses" : "gets"} UDP super-packets, and ${withFlag ? "loses" : "gets"} them where decap-udp is used`, () => {
    assertEquals(losesUdp(underlay, false), without);
    assertEquals(losesUdp(underlay, true), withFlag);
  });
}
