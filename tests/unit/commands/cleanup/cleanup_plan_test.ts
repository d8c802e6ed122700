import { assertEquals, assertThrows } from "@std/assert";
import { ownershipOf } from "../../../../backend/udp/ebpf/ownership.ts";
import { programName } from "../../../../backend/udp/ebpf/programs/programs.ts";
import { planPrograms } from "../../../../commands/cleanup/cleanup_plan.ts";
import { BpfError } from "../../../../linux/bpf/errors.ts";
import type { ProgramType } from "../../../../linux/bpf/bpf.ts";
import { exit, mov, R0 } from "../../../../linux/bpf/instructions.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import { FakeBpf } from "../../../fakes/fake_bpf.ts";
import { FakeRtnetlink } from "../../../fakes/fake_rtnetlink.ts";

const OURS = "loden:/a";
const { suffix } = ownershipOf(OURS);
const THEIRS = "loden:/b";

/** A host with two networks, both in the kernel, and another program's programs. */
function host() {
  const rtnetlink = new FakeRtnetlink();
  const bpf = new FakeBpf();
  const eth0 = rtnetlink.addLink({ name: "eth0" }).index;
  const eth1 = rtnetlink.addLink({ name: "eth1" }).index;
  const pairs = [OURS, THEIRS].map((alias, number) =>
    rtnetlink.createVethPair({
      name: `flannel${number}`,
      peerName: `flannel${number}p`,
      ...ownershipOf(alias),
      mtuBytes: 1472,
      peerMtuBytes: 65535,
    })
  );
  const load = (name: string, type: ProgramType = "schedCls") =>
    bpf.loadProgram({ name, type, build: () => [mov(R0, 0), exit()] });
  const rx = programName("ingress", suffix);
  const xdp = programName("xdp", suffix);
  bpf.attach(eth0, "ingress", load("cil_from_netdev"));
  bpf.attach(eth0, "ingress", load(rx));
  bpf.attach(
    eth0,
    "ingress",
    load(programName("ingress", ownershipOf(THEIRS).suffix)),
  );
  bpf.setXdp(eth0, load(xdp, "xdp"));
  bpf.attach(eth1, "ingress", load(rx));
  bpf.setXdp(eth1, load("xdp_dispatcher", "xdp"));
  bpf.attach(pairs[0]!.link.index, "egress", load(rx));
  return { rtnetlink, bpf, eth0, eth1, rx, xdp };
}

Deno.test("the programs of a network are found by their names, at every device", () => {
  const { rtnetlink, bpf, rx, xdp } = host();
  const steps = planPrograms({ rtnetlink, bpf }, OURS);
  assertEquals(steps.map(({ what }) => what), [
    `programs ${rx}, ${xdp} at eth0`,
    `program ${rx} at eth1`,
  ]);
});

Deno.test("what is removed is this network's alone", async () => {
  const { rtnetlink, bpf, eth0, eth1 } = host();
  for (const { remove } of planPrograms({ rtnetlink, bpf }, OURS)) {
    await remove();
  }
  assertEquals(
    bpf.attachedPrograms(eth0, "ingress").map(({ name }) => name),
    ["cil_from_netdev", programName("ingress", ownershipOf(THEIRS).suffix)],
  );
  assertEquals(bpf.xdp(eth0), undefined);
  assertEquals(bpf.attachedPrograms(eth1, "ingress"), []);
  assertEquals(bpf.xdp(eth1)?.mode, "native");
  assertEquals(planPrograms({ rtnetlink, bpf }, OURS), []);
  assertEquals(planPrograms({ rtnetlink, bpf }, THEIRS).length, 1);
});

Deno.test("devices that cannot be asked are a failure where the network is in the kernel, and nowhere else", () => {
  const { rtnetlink, bpf } = host();
  const refused = new BpfError("list programs", ERRNO.EPERM);
  const blind = new Proxy(bpf, {
    get: (target, name) =>
      name === "attachedPrograms"
        ? () => {
          throw refused;
        }
        : Reflect.get(target, name, target).bind(target),
  });
  const steps = planPrograms({ rtnetlink, bpf: blind }, OURS);
  assertEquals(steps.map(({ what }) => what), ["programs at the underlay"]);
  assertThrows(() => steps[0]!.remove(), BpfError);
  assertEquals(planPrograms({ rtnetlink, bpf: blind }, "loden:/tun"), []);
});
