import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { KernelPathLeftError } from "../../../../../backend/udp/ebpf/errors.ts";
import {
  planProgramRemoval,
  removeKernelPath,
} from "../../../../../backend/udp/ebpf/remove.ts";
import { UdpBackend } from "../../../../../backend/udp/udp_backend.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import {
  ALIAS,
  EbpfWorld,
  idleProgram,
  OWNER,
  STRANGER,
} from "../../../../support/ebpf_world.ts";

const RX = `loden_rx_${OWNER.suffix}`;
const XDP = `loden_xdp_${OWNER.suffix}`;

/** Two devices with everything that may be at them. */
function world(): EbpfWorld {
  const made = new EbpfWorld();
  const { bpf, eth0, rtnetlink } = made;
  const eth1 = made.addUnderlay("eth1", "198.51.100.1/24");
  rtnetlink.addLink({ name: "docker0", kind: "bridge" });
  for (const suffix of [OWNER.suffix, STRANGER.suffix]) {
    const ingress = idleProgram(bpf, `loden_rx_${suffix}`);
    bpf.attach(eth0.index, "ingress", ingress);
    bpf.attach(eth1.index, "ingress", ingress);
  }
  bpf.attach(eth0.index, "ingress", idleProgram(bpf, "foreign"));
  bpf.setXdp(eth0.index, idleProgram(bpf, XDP, "xdp"));
  bpf.setXdp(eth1.index, idleProgram(bpf, "xdp_firewall", "xdp"));
  return made;
}

const plan = (made: EbpfWorld) => planProgramRemoval(made, ALIAS);

Deno.test("the programs of a network are named by device, and no others", () => {
  assertEquals(plan(world()).map(({ what }) => what), [
    `programs ${RX}, ${XDP} at eth0`,
    `program ${RX} at eth1`,
  ]);
});

Deno.test("to plan takes nothing away", () => {
  const made = world();
  const before = made.attached();
  plan(made);
  assertEquals(made.attached(), before);
});

Deno.test("what was planned goes, all else stays, and then there is nothing to do", () => {
  const made = world();
  const others = made.attached().filter((text) => !text.includes(OWNER.suffix));
  for (const { remove } of plan(made)) remove();
  assertEquals(made.attached(), others);
  assertEquals(plan(made), []);
});

Deno.test("a program left at the driver alone is found", () => {
  const made = new EbpfWorld();
  made.bpf.setXdp(made.eth0.index, idleProgram(made.bpf, XDP, "xdp"));
  assertEquals(plan(made).map(({ what }) => what), [`program ${XDP} at eth0`]);
});

Deno.test("a kernel that does not say what runs is no kernel where nothing runs", () => {
  const made = world();
  made.bpf.failWith("attachedPrograms", new BpfError("list", ERRNO.EPERM));
  assertThrows(() => plan(made), BpfError, "EPERM");
});

/** With the overlay device of a kernel data path, too. */
function runningWorld(): EbpfWorld {
  const made = world();
  made.rtnetlink.createVethPair({
    name: "flannel0",
    mtuBytes: 1_472,
    peerMtuBytes: 1_472,
    alias: ALIAS,
    mac: OWNER.mac,
    peerName: "loden0",
    peerMac: OWNER.peerMac,
  });
  return made;
}

const partsOf = (made: EbpfWorld) => ({
  rtnetlink: made.rtnetlink,
  openBpf: () => made.bpf,
});
const hasDevice = (made: EbpfWorld) =>
  made.rtnetlink.links().some(({ name }) => name === "flannel0");

Deno.test("programs that cannot be detached are an error that is tried again, and the device stays with them", () => {
  const made = runningWorld();
  made.bpf.failWith("detach", new BpfError("detach", ERRNO.EPERM));
  const error = assertThrows(
    () => removeKernelPath(partsOf(made), ALIAS),
    KernelPathLeftError,
    `program ${RX} at eth1 must be detached first: Cannot detach`,
  );
  assertEquals([error.retryable, error.code], [
    true,
    "backend.kernel-path-left",
  ]);
  assertEquals(hasDevice(made), true);
  made.bpf.failWith("detach", undefined);
  removeKernelPath(partsOf(made), ALIAS);
  assertEquals(plan(made), []);
  assertEquals(hasDevice(made), false);
});

Deno.test("a process that may not list programs does not start with a kernel data path's device present", () => {
  const made = runningWorld();
  const openBpf = () => {
    throw new BpfError("open", ERRNO.EPERM);
  };
  assertThrows(
    () => removeKernelPath({ rtnetlink: made.rtnetlink, openBpf }, ALIAS),
    KernelPathLeftError,
    "the programs of loden0 must be detached first",
  );
  // Without such a device nothing has to be looked for.
  removeKernelPath({ rtnetlink: world().rtnetlink, openBpf }, ALIAS);
});

Deno.test("the backend does not start in user space while programs take its packets", async () => {
  const made = runningWorld();
  made.bpf.failWith("detach", new BpfError("detach", ERRNO.EPERM));
  const backend = new UdpBackend(
    { ...made.parts, ...partsOf(made) } as unknown as ConstructorParameters<
      typeof UdpBackend
    >[0],
    {
      port: 8285,
      device: "flannel%d",
      deviceAlias: ALIAS,
      dataPath: "tun",
      receive: "auto",
      senderCheck: "strict",
      checksInterface: true,
      sourcePort: "auto",
      disabledFeatures: [],
    },
  );
  await assertRejects(
    () => backend.start(made.options, new AbortController().signal),
    KernelPathLeftError,
  );
});
