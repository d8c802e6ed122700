import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ReceiveChoice } from "../../../../../backend/udp/data_path.ts";
import { Underlays } from "../../../../../backend/udp/ebpf/underlays.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { NetlinkError } from "../../../../../linux/netlink/errors.ts";
import type { Link } from "../../../../../linux/netlink/rtnetlink.ts";
import { CapturedLogs } from "../../../../support/capture_logs.ts";
import {
  EbpfWorld,
  HOST,
  idleProgram,
  newMaps,
  OWNER,
} from "../../../../support/ebpf_world.ts";

const RX = `loden_rx_${OWNER.suffix}`;
const XDP = `loden_xdp_${OWNER.suffix}`;

/** A host and its underlays; `one` is a veth that receives packets one by one. */
class World extends EbpfWorld {
  readonly maps = newMaps(this.bpf);
  readonly one: Link = this.addUnderlay("one", "198.51.100.1/24", "veth");

  constructor() {
    super();
    this.ethtool.setFeatures("one", { "tx-tcp-segmentation": false });
  }

  underlays(receive: ReceiveChoice = "auto"): Underlays {
    return new Underlays(this, HOST, this.maps, receive);
  }

  idAt({ index }: Link): number | undefined {
    return this.bpf.attachedPrograms(index, "ingress")
      .find(({ name }) => name === RX)?.id;
  }
}

Deno.test("packets are received from the given devices, each with its own mode", () => {
  const world = new World();
  using underlays = world.underlays();
  assertEquals(underlays.set([world.eth0, world.one]), []);
  assertEquals(world.attached(), [
    `eth0 ingress ${RX} tcx`,
    `one ingress ${RX} tcx`,
    `one xdp ${XDP}`,
  ]);
  assertEquals(underlays.details(), {
    "receive on eth0": "gro by tcx: works on every device",
    "receive on one": "xdp by tcx: a veth that receives packets one by one",
  });
});

Deno.test("what is right is not touched, and not logged again", () => {
  using logs = new CapturedLogs();
  const world = new World();
  using underlays = world.underlays();
  underlays.set([world.eth0, world.one]);
  for (const method of ["attach", "detach", "setXdp", "loadProgram"] as const) {
    world.bpf.failWith(method, new Error(method));
  }
  assertEquals(underlays.set([world.eth0, world.one]), []);
  assertEquals(
    logs.events("backend.receive").map(({ device, mode, attachedBy }) => [
      device,
      mode,
      attachedBy,
    ]),
    [["eth0", "gro", "tcx"], ["one", "xdp", "tcx"]],
  );
});

Deno.test("a former underlay loses its programs, and others keep theirs", () => {
  const world = new World();
  const foreign = idleProgram(world.bpf, "foreign");
  world.bpf.attach(world.one.index, "ingress", foreign);
  using underlays = world.underlays();
  underlays.set([world.eth0, world.one]);
  assertEquals(underlays.set([world.eth0]), ["programs at one"]);
  assertEquals(world.attached(), [
    `eth0 ingress ${RX} tcx`,
    "one ingress foreign tcx",
  ]);
  assertEquals(Object.keys(underlays.details()), ["receive on eth0"]);
});

Deno.test("a device is an underlay from when its programs are there until they go", () => {
  const world = new World();
  using underlays = world.underlays();
  const are = () =>
    [world.eth0, world.one].map(({ index }) => underlays.has(index));
  assertEquals(are(), [false, false]);
  underlays.set([world.eth0]);
  assertEquals(are(), [true, false]);
  underlays.set([world.one]);
  assertEquals(are(), [false, true]);
});

Deno.test("an underlay that was unplugged is forgotten, and the rest goes on", () => {
  const world = new World();
  using underlays = world.underlays();
  underlays.set([world.eth0, world.one]);
  world.bpf.removeInterface(world.one.index);
  assertEquals(underlays.set([world.eth0]), ["programs at one"]);
  assertEquals(underlays.set([world.eth0]), []);
});

Deno.test("a device that was renamed is shown by its new name", () => {
  const world = new World();
  using underlays = world.underlays();
  underlays.set([world.eth0]);
  world.rtnetlink.changeLink(world.eth0.index, { name: "uplink" });
  world.ethtool.plugIn("uplink", "e1000e");
  const before = world.idAt(world.eth0);
  underlays.set([world.link("uplink")]);
  assertEquals(Object.keys(underlays.details()), ["receive on uplink"]);
  assertEquals(world.idAt(world.eth0), before);
});

const TAKEN: readonly [string, (world: World) => void][] = [
  ["the ingress program", ({ bpf, one }) => {
    const [attached] = bpf.attachedPrograms(one.index, "ingress");
    bpf.detach(one.index, "ingress", attached!);
  }],
  ["the XDP program", ({ bpf, one }) => bpf.setXdp(one.index, undefined)],
];
for (const [what, take] of TAKEN) {
  Deno.test(`when ${what} is removed, it is restored and reported`, () => {
    const world = new World();
    using underlays = world.underlays();
    underlays.set([world.eth0, world.one]);
    const before = world.attached();
    take(world);
    assertEquals(underlays.set([world.eth0, world.one]), ["programs at one"]);
    assertEquals(world.attached(), before);
    assertEquals(underlays.set([world.eth0, world.one]), []);
  });
}

Deno.test("programs of an earlier agent are replaced, and that is nothing to mend", () => {
  const world = new World();
  {
    using earlier = world.underlays();
    earlier.set([world.eth0, world.one]);
  }
  const before = [world.idAt(world.one), world.bpf.xdp(world.one.index)?.id];
  using underlays = world.underlays();
  assertEquals(underlays.set([world.eth0, world.one]), []);
  const after = [world.idAt(world.one), world.bpf.xdp(world.one.index)?.id];
  assert(after[0] !== before[0] && after[1] !== before[1]);
  assertEquals(world.attached().length, 3);
});

Deno.test("a device that leaves mode xdp has its stripping program detached before the other changes", () => {
  const world = new World();
  using underlays = world.underlays();
  underlays.set([world.one]);
  world.ethtool.setFeatures("one", { "tx-tcp-segmentation": true });
  const attach = world.bpf.attach.bind(world.bpf);
  world.bpf.attach = (...args) => {
    assertEquals(world.bpf.xdp(world.one.index), undefined);
    return attach(...args);
  };
  underlays.set([world.one]);
  assertEquals(world.attached(), [`one ingress ${RX} tcx`]);
  assertEquals(underlays.details(), {
    "receive on one": "gro by tcx: works on every device",
  });
});

Deno.test("the program that takes the stripped is there before anything is stripped", () => {
  const world = new World();
  const setXdp = world.bpf.setXdp.bind(world.bpf);
  world.bpf.setXdp = (...args) => {
    assert(world.idAt(world.one) !== undefined);
    setXdp(...args);
  };
  using underlays = world.underlays();
  underlays.set([world.one]);
  assert(world.bpf.xdp(world.one.index) !== undefined);
});

Deno.test("a driver without native XDP leaves its device in mode gro, and is asked once", () => {
  using logs = new CapturedLogs();
  const world = new World();
  world.bpf.removeNativeXdp(world.eth0.index);
  using underlays = world.underlays("xdp");
  underlays.set([world.eth0]);
  assertEquals(world.attached(), [`eth0 ingress ${RX} tcx`]);
  const [detail] = Object.values(underlays.details());
  assert(/^gro by tcx: native XDP was refused: .*EOPNOTSUPP/.test(detail!));
  world.bpf.failWith("setXdp", new Error("asked again"));
  assertEquals(underlays.set([world.eth0]), []);
  assertEquals(logs.events("backend.receive").length, 1);
});

Deno.test("another's XDP program stays, and the device is in mode gro", () => {
  const world = new World();
  const foreign = idleProgram(world.bpf, "xdp_firewall", "xdp");
  world.bpf.setXdp(world.one.index, foreign);
  using underlays = world.underlays();
  underlays.set([world.one]);
  assertEquals(world.attached(), [
    `one ingress ${RX} tcx`,
    "one xdp xdp_firewall",
  ]);
  const [detail] = Object.values(underlays.details());
  assert(/^gro .* EBUSY/.test(detail!), detail);
});

Deno.test("where XDP was refused it is asked for again when the device comes back", () => {
  const world = new World();
  const foreign = idleProgram(world.bpf, "xdp_firewall", "xdp");
  world.bpf.setXdp(world.one.index, foreign);
  using underlays = world.underlays();
  underlays.set([world.one]);
  underlays.set([]);
  world.bpf.setXdp(world.one.index, undefined);
  underlays.set([world.one]);
  assertEquals(world.attached(), [
    `one ingress ${RX} tcx`,
    `one xdp ${XDP}`,
  ]);
});

Deno.test("devices of one mode share their program; of direct there is another one", () => {
  const world = new World();
  using underlays = world.underlays("gro");
  underlays.set([world.eth0, world.one]);
  assertEquals(world.idAt(world.eth0), world.idAt(world.one));
  using direct = world.underlays("direct");
  direct.set([world.eth0]);
  assert(world.idAt(world.eth0) !== world.idAt(world.one));
});

Deno.test("the XDP program has its device's own MAC address", () => {
  const world = new World();
  using underlays = world.underlays("xdp");
  underlays.set([world.eth0, world.one]);
  const idOf = ({ index }: Link) => world.bpf.xdp(index)!.id;
  assert(idOf(world.eth0) !== idOf(world.one));
  const changed = { ...world.one, mac: Uint8Array.of(2, 0, 0x5e, 0, 0x53, 9) };
  const before = idOf(world.one);
  assertEquals(underlays.set([world.eth0, changed]), ["programs at one"]);
  assert(idOf(world.one) !== before);
});

Deno.test("a program that the kernel refuses is an error, and nothing is attached", () => {
  const world = new World();
  world.bpf.failWith("loadProgram", new BpfError("load", ERRNO.EPERM));
  using underlays = world.underlays();
  assertThrows(() => underlays.set([world.eth0]), BpfError, "EPERM");
  assertEquals(world.attached(), []);
});

Deno.test("a device that does not tell its driver is taken for no hypervisor's", () => {
  const world = new World();
  world.ethtool.driver = () => {
    throw new BpfError("read the driver", ERRNO.EOPNOTSUPP);
  };
  using underlays = world.underlays();
  underlays.set([world.eth0]);
  assertEquals(world.attached(), [`eth0 ingress ${RX} tcx`]);
});

Deno.test("programs run on when the agent lets go of them, and no others stay", () => {
  const world = new World();
  const underlays = world.underlays();
  underlays.set([world.one]);
  const before = world.attached();
  assert(underlays.ingress.descriptor > 0);
  underlays[Symbol.dispose]();
  assertEquals(world.attached(), before);
  world.bpf.removeInterface(world.one.index);
  assertEquals(world.bpf.programs, []);
});

Deno.test("the program that decides for the slow path is that of mode gro", () => {
  const world = new World();
  using underlays = world.underlays("gro");
  underlays.set([world.eth0]);
  assertEquals(underlays.ingress.id, world.idAt(world.eth0));
});

Deno.test("a driver that refuses to replace its program is left in mode gro, with nothing of the former agent", () => {
  const world = new World();
  {
    using earlier = world.underlays("xdp");
    earlier.set([world.eth0]);
  }
  const setXdp = world.bpf.setXdp.bind(world.bpf);
  world.bpf.setXdp = (index, program, options) => {
    if (program !== undefined && options?.replaceId !== undefined) {
      throw new NetlinkError("attach to XDP", ERRNO.EBUSY);
    }
    setXdp(index, program, options);
  };
  using underlays = world.underlays("xdp");
  underlays.set([world.eth0]);
  assertEquals(world.attached(), [`eth0 ingress ${RX} tcx`]);
  const [detail] = Object.values(underlays.details());
  assert(/^gro by tcx: native XDP was refused: .*EBUSY/.test(detail!), detail);
});
