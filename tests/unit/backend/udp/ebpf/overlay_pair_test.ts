import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { BackendStartError } from "../../../../../backend/errors.ts";
import {
  ensureOffloads,
  findOverlayPair,
  hopName,
  makeOverlayPair,
} from "../../../../../backend/udp/ebpf/overlay_pair.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import {
  type DeviceFeature,
  FeatureRefusedError,
} from "../../../../../linux/ethtool.ts";
import { NetlinkError } from "../../../../../linux/netlink/errors.ts";
import { overlayMtu } from "../../../../../net/mtu.ts";
import { FakeEthtool } from "../../../../fakes/fake_ethtool.ts";
import { FakeRtnetlink } from "../../../../fakes/fake_rtnetlink.ts";
import { ALIAS, OWNER, STRANGER } from "../../../../support/ebpf_world.ts";

const MTU = overlayMtu(1_472);
const ON: DeviceFeature = { active: true, requested: true, changeable: true };

const make = (rtnetlink: FakeRtnetlink, pattern = "flannel%d") =>
  makeOverlayPair(rtnetlink, OWNER, pattern, MTU);
const names = (rtnetlink: FakeRtnetlink) =>
  rtnetlink.links().map(({ name }) => name).filter((name) => name !== "lo");

Deno.test("the pair has the network's alias and addresses, and asks for no neighbours", () => {
  const { device, hop } = make(new FakeRtnetlink());
  assertEquals(
    [device.name, device.alias, device.mac, device.mtuBytes, device.noArp],
    ["flannel0", ALIAS, OWNER.mac, 1_472, true],
  );
  assertEquals(
    [hop.name, hop.alias, hop.mac, hop.noArp],
    ["flannel0p", ALIAS, OWNER.peerMac, true],
  );
  assertEquals(device.peerIndex, hop.index);
});

Deno.test("a pair without its alias is created again, and other veths are left alone", () => {
  const rtnetlink = new FakeRtnetlink();
  const { mac, peerMac } = OWNER;
  const veths = (name: string, mac: Uint8Array, peerMac: Uint8Array) =>
    rtnetlink.createVethPair({
      name,
      peerName: hopName(name),
      mac,
      peerMac,
      mtuBytes: MTU,
      peerMtuBytes: MTU,
    });
  const left = veths("flannel0", mac, peerMac);
  veths("veth0", mac, STRANGER.peerMac);
  veths("veth1", STRANGER.mac, STRANGER.peerMac);
  const { device } = make(rtnetlink);
  assertEquals(device.name, "flannel0");
  assertNotEquals(device.index, left.link.index);
  assertEquals(names(rtnetlink).toSorted(), [
    "flannel0",
    "flannel0p",
    "veth0",
    "veth0p",
    "veth1",
    "veth1p",
  ]);
});

Deno.test("the other end takes the largest packets that there are", () => {
  assertEquals(make(new FakeRtnetlink()).hop.mtuBytes, 65_535);
});

Deno.test("a pair is found by its alias, whatever its names, and no other network's", () => {
  const rtnetlink = new FakeRtnetlink();
  makeOverlayPair(rtnetlink, STRANGER, "flannel%d", MTU);
  const made = make(rtnetlink);
  for (
    const [{ index }, name] of [
      [made.device, "aaa"],
      [made.hop, "bbb"],
    ] as const
  ) {
    rtnetlink.changeLink(index, { name });
  }
  const found = findOverlayPair(rtnetlink.links(), ALIAS);
  assertEquals(
    [found?.device.index, found?.hop.index],
    [made.device.index, made.hop.index],
  );
});

Deno.test("the ends are distinguished, whichever the kernel lists first", () => {
  const rtnetlink = new FakeRtnetlink();
  const { device, hop } = make(rtnetlink);
  for (const links of [rtnetlink.links(), rtnetlink.links().reverse()]) {
    assertEquals(findOverlayPair(links, ALIAS), { device, hop });
  }
});

Deno.test("the ends are distinguished even if one or both hardware addresses were changed", () => {
  const rtnetlink = new FakeRtnetlink();
  const { device, hop } = make(rtnetlink);
  for (const last of [0, 1, 16]) {
    const other = Uint8Array.of(2, 0, 0x5e, 0, 0x53, last);
    for (
      const changed of [[device.index], [hop.index], [
        device.index,
        hop.index,
      ]]
    ) {
      const links = rtnetlink.links().map((link) =>
        changed.includes(link.index) ? { ...link, mac: other } : link
      );
      for (const order of [links, links.toReversed()]) {
        const found = findOverlayPair(order, ALIAS);
        assertEquals(
          [found?.device.index, found?.hop.index],
          [device.index, hop.index],
        );
      }
    }
  }
});

Deno.test("half a pair is none, nor is a TUN with the alias", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "flannel0", kind: "tun", alias: ALIAS });
  assertEquals(findOverlayPair(rtnetlink.links(), ALIAS), undefined);
  const { device, hop } = makeOverlayPair(
    rtnetlink,
    OWNER,
    "overlay",
    MTU,
  );
  for (const end of [device, hop]) {
    const rest = rtnetlink.links().filter(({ index }) => index !== end.index);
    assertEquals(findOverlayPair(rest, ALIAS), undefined);
  }
});

Deno.test("a pattern's next number is taken if one of both names is in use", () => {
  const rtnetlink = new FakeRtnetlink();
  rtnetlink.addLink({ name: "flannel0" });
  rtnetlink.addLink({ name: "flannel1p" });
  make(rtnetlink);
  assertEquals(
    names(rtnetlink).sort(),
    ["flannel0", "flannel1p", "flannel2", "flannel2p"],
  );
});

Deno.test("a name that is in use is an error that waiting cannot cure", () => {
  for (const taken of ["flannel0", "flannel0p"]) {
    const rtnetlink = new FakeRtnetlink();
    rtnetlink.addLink({ name: taken });
    const error = assertThrows(
      () => make(rtnetlink, "flannel0"),
      BackendStartError,
      "flannel0",
    );
    assertEquals(error.retryable, false);
    assertEquals(names(rtnetlink), [taken]);
  }
});

Deno.test("a hundred devices of a pattern are an error, not a search without end", () => {
  const rtnetlink = new FakeRtnetlink();
  for (let i = 0; i <= 100; i++) rtnetlink.addLink({ name: `flannel${i}` });
  assertThrows(() => make(rtnetlink), BackendStartError);
});

Deno.test("what the kernel refuses for another reason is tried once", () => {
  const rtnetlink = new FakeRtnetlink();
  let attempts = 0;
  rtnetlink.createVethPair = () => {
    attempts++;
    throw new NetlinkError("make the pair", ERRNO.ENOMEM);
  };
  const error = assertThrows(() => make(rtnetlink), BackendStartError);
  assertEquals([attempts, error.retryable], [1, true]);
});

Deno.test("the ends have two names that the kernel takes, however long the first is", () => {
  assertEquals(hopName("flannel0"), "flannel0p");
  for (let letters = 1; letters <= 15; letters++) {
    for (const name of ["a".repeat(letters), "p".repeat(letters)]) {
      const other = hopName(name);
      assertNotEquals(other, name);
      assert(other.length <= 15, other);
    }
  }
});

/** A pair of which each end has all offloads on. */
function offloadWorld() {
  const pair = make(new FakeRtnetlink());
  const ethtool = new FakeEthtool();
  for (const { name } of [pair.device, pair.hop]) {
    ethtool.plugIn(name, "veth", {
      "tx-checksum-ip-generic": ON,
      "tx-tcp-ecn-segmentation": ON,
      "tx-tcp-mangleid-segmentation": ON,
      "tx-udp_tnl-segmentation": ON,
      "tx-gre-segmentation": ON,
    });
  }
  const active = (name: string) =>
    [...ethtool.features(name)].filter(([, { active }]) => active)
      .map(([feature]) => feature).sort();
  return { pair, ethtool, active };
}

Deno.test("the device merges, and cuts TCP and UDP with finished checksums", () => {
  const { pair, ethtool, active } = offloadWorld();
  ensureOffloads(ethtool, pair);
  const wanted = [
    "rx-checksum",
    "rx-gro",
    "tx-generic-segmentation",
    "tx-gre-segmentation",
    "tx-udp_tnl-segmentation",
  ];
  assertEquals(active("flannel0"), wanted);
});

Deno.test("the other end cuts likewise, and does not merge", () => {
  const { pair, ethtool, active } = offloadWorld();
  ensureOffloads(ethtool, pair);
  assertEquals(active("flannel0p"), [
    "rx-checksum",
    "tx-checksum-ip-generic",
    "tx-generic-segmentation",
    "tx-gre-segmentation",
    "tx-udp_tnl-segmentation",
  ]);
});

Deno.test("offloads are set once, and again after one was changed", () => {
  const { pair, ethtool } = offloadWorld();
  assertEquals(ensureOffloads(ethtool, pair), true);
  assertEquals(ensureOffloads(ethtool, pair), false);
  const changes: [string, string, boolean][] = [
    ["flannel0", "rx-gro", false],
    ["flannel0", "tx-tcp-segmentation", true],
    ["flannel0p", "rx-gro", true],
    ["flannel0p", "tx-udp-segmentation", true],
    ["flannel0p", "tx-checksum-ip-generic", false],
  ];
  for (const [name, feature, on] of changes) {
    ethtool.setFeatures(name, { [feature]: on });
    assertEquals(ensureOffloads(ethtool, pair), true, `${name} ${feature}`);
    assertEquals(ensureOffloads(ethtool, pair), false, `${name} ${feature}`);
  }
});

Deno.test("an offload that an older kernel does not know is not asked for", () => {
  const pair = make(new FakeRtnetlink());
  const ethtool = new FakeEthtool();
  // Neither has tx-checksum-ip-generic.
  for (const { name } of [pair.device, pair.hop]) ethtool.plugIn(name);
  ensureOffloads(ethtool, pair);
  assertEquals(ensureOffloads(ethtool, pair), false);
});

Deno.test("an offload that is needed and cannot be switched is an error", () => {
  const { pair, ethtool } = offloadWorld();
  ethtool.plugIn("flannel0", "veth", {
    "tx-udp-segmentation": { ...ON, changeable: false },
  });
  assertThrows(
    () => ensureOffloads(ethtool, pair),
    FeatureRefusedError,
    "tx-udp-segmentation",
  );
});

Deno.test("the pair has a queue for each processor, and 64 at most", () => {
  for (const [processors, queues] of [[1, 1], [64, 64], [96, 64]] as const) {
    const rtnetlink = new FakeRtnetlink();
    const create = rtnetlink.createVethPair.bind(rtnetlink);
    const asked: (number | undefined)[] = [];
    rtnetlink.createVethPair = (pair) => {
      asked.push(pair.queues);
      return create(pair);
    };
    makeOverlayPair(rtnetlink, OWNER, "flannel%d", MTU, processors);
    assertEquals(asked, [queues]);
  }
});
