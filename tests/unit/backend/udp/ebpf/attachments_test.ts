import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  attachedProgram,
  detachFromUnderlay,
  detachXdp,
  ensureAttached,
  ensureXdp,
} from "../../../../../backend/udp/ebpf/attachments.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";
import { FakeBpf } from "../../../../fakes/fake_bpf.ts";
import {
  idleProgram,
  OWNER,
  STRANGER,
} from "../../../../support/ebpf_world.ts";

const DEVICE = 7;
const RX = `loden_rx_${OWNER.suffix}`;
const XDP = `loden_xdp_${OWNER.suffix}`;
const OTHER_RX = `loden_rx_${STRANGER.suffix}`;

const idsAt = (bpf: FakeBpf) =>
  bpf.attachedPrograms(DEVICE, "ingress").map(({ id }) => id);

Deno.test("a program that runs already is left as it is", () => {
  using bpf = new FakeBpf();
  using program = idleProgram(bpf, RX);
  const { attached, changed } = ensureAttached(
    bpf,
    DEVICE,
    "ingress",
    program,
  );
  assertEquals(changed, true);
  bpf.failWith("attach", new Error("touched"));
  bpf.failWith("detach", new Error("touched"));
  assertEquals(
    ensureAttached(bpf, DEVICE, "ingress", program),
    { attached, changed: false },
  );
});

Deno.test("a program takes the place of the one with its name, in one step and in its order", () => {
  using bpf = new FakeBpf();
  using before = idleProgram(bpf, RX);
  using after = idleProgram(bpf, RX);
  using foreign = idleProgram(bpf, "cil_from_netdev");
  ensureAttached(bpf, DEVICE, "ingress", before);
  bpf.attach(DEVICE, "ingress", foreign);
  // Detaching first would leave a moment without a program.
  bpf.failWith("detach", new Error("detached"));
  ensureAttached(bpf, DEVICE, "ingress", after);
  assertEquals(idsAt(bpf), [after.id, foreign.id]);
});

Deno.test("programs of others, also of another network, are no obstacle and stay", () => {
  using bpf = new FakeBpf();
  const others = [
    idleProgram(bpf, "cil_from_netdev"),
    idleProgram(bpf, OTHER_RX),
  ];
  for (const other of others) bpf.attach(DEVICE, "ingress", other);
  using program = idleProgram(bpf, RX);
  ensureAttached(bpf, DEVICE, "ingress", program);
  const ids = others.map(({ id }) => id);
  assertEquals(idsAt(bpf), [...ids, program.id]);
  assert(detachFromUnderlay(bpf, DEVICE, OWNER.suffix));
  assertEquals(idsAt(bpf), ids);
});

for (const [from, to] of [[true, false], [false, true]] as const) {
  const way = (tcx: boolean) => tcx ? "tcx" : "clsact";
  Deno.test(`a program by ${way(to)} replaces one by ${way(from)}`, () => {
    using bpf = new FakeBpf({ tcx: from });
    using before = idleProgram(bpf, RX);
    ensureAttached(bpf, DEVICE, "ingress", before);
    bpf.tcx = to;
    using after = idleProgram(bpf, RX);
    assertEquals(
      ensureAttached(bpf, DEVICE, "ingress", after).attached,
      { id: after.id, name: RX, how: way(to) },
    );
    assertEquals(idsAt(bpf), [after.id]);
  });
}

Deno.test("of two programs of one name at a place, one is left", () => {
  using bpf = new FakeBpf();
  using one = idleProgram(bpf, RX);
  using two = idleProgram(bpf, RX);
  bpf.attach(DEVICE, "ingress", one);
  bpf.tcx = false;
  bpf.attach(DEVICE, "ingress", two);
  bpf.tcx = true;
  assertEquals(ensureAttached(bpf, DEVICE, "ingress", one).changed, true);
  assertEquals(idsAt(bpf), [one.id]);
});

Deno.test("the program of a name is found, and nothing where there is none", () => {
  using bpf = new FakeBpf();
  using program = idleProgram(bpf, RX);
  ensureAttached(bpf, DEVICE, "ingress", program);
  assertEquals(attachedProgram(bpf, DEVICE, "ingress", RX)?.id, program.id);
  assertEquals(attachedProgram(bpf, DEVICE, "egress", RX), undefined);
  assertEquals(attachedProgram(bpf, DEVICE, "ingress", OTHER_RX), undefined);
});

Deno.test("an XDP program is put once, and the network's own is replaced", () => {
  using bpf = new FakeBpf();
  using before = idleProgram(bpf, XDP, "xdp");
  using after = idleProgram(bpf, XDP, "xdp");
  assert(ensureXdp(bpf, DEVICE, before, OWNER.suffix));
  assert(!ensureXdp(bpf, DEVICE, before, OWNER.suffix));
  assert(ensureXdp(bpf, DEVICE, after, OWNER.suffix));
  assertEquals(bpf.xdp(DEVICE)?.id, after.id);
});

for (const name of ["xdp_firewall", `loden_xdp_${STRANGER.suffix}`]) {
  Deno.test(`the XDP program ${name} is neither replaced nor taken away`, () => {
    using bpf = new FakeBpf();
    using foreign = idleProgram(bpf, name, "xdp");
    bpf.setXdp(DEVICE, foreign);
    using ours = idleProgram(bpf, XDP, "xdp");
    const error = assertThrows(
      () => ensureXdp(bpf, DEVICE, ours, OWNER.suffix),
      BpfError,
    );
    assertEquals(error.errno, ERRNO.EBUSY);
    assert(!detachXdp(bpf, DEVICE, OWNER.suffix));
    assert(!detachFromUnderlay(bpf, DEVICE, OWNER.suffix));
    assertEquals(bpf.xdp(DEVICE)?.id, foreign.id);
  });
}

Deno.test("what strips goes before what takes the stripped", () => {
  using bpf = new FakeBpf();
  using xdp = idleProgram(bpf, XDP, "xdp");
  using ingress = idleProgram(bpf, RX);
  ensureXdp(bpf, DEVICE, xdp, OWNER.suffix);
  ensureAttached(bpf, DEVICE, "ingress", ingress);
  bpf.failWith("detach", new BpfError("detach", ERRNO.EPERM));
  assertThrows(
    () => detachFromUnderlay(bpf, DEVICE, OWNER.suffix),
    BpfError,
  );
  assertEquals([bpf.xdp(DEVICE), idsAt(bpf)], [undefined, [ingress.id]]);
  bpf.failWith("detach", undefined);
  assert(detachFromUnderlay(bpf, DEVICE, OWNER.suffix));
  assert(!detachFromUnderlay(bpf, DEVICE, OWNER.suffix));
  assertEquals(idsAt(bpf), []);
});

Deno.test("both hooks are checked when programs are detached", () => {
  using bpf = new FakeBpf({ tcx: false });
  using one = idleProgram(bpf, RX);
  bpf.attach(DEVICE, "ingress", one);
  bpf.tcx = true;
  using two = idleProgram(bpf, RX);
  bpf.attach(DEVICE, "ingress", two);
  assert(detachFromUnderlay(bpf, DEVICE, OWNER.suffix));
  assertEquals(idsAt(bpf), []);
});
