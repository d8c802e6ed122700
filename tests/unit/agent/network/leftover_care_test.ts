import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Leftover } from "../../../../backend/leftovers.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import { NetlinkError } from "../../../../linux/netlink/errors.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { LodenError } from "../../../../errors.ts";
import { AgentRig } from "../agent_rig.ts";

const leftover = (owner: Leftover["owner"]): Leftover => ({
  what: `device flannel.1 of ${owner}`,
  owner,
  fix: "ip link delete flannel.1",
  remove: () => {},
});

const codes = (rig: AgentRig) => rig.state.warnings().map(({ code }) => code);

Deno.test("what Loden has left is removed before the backend starts", async () => {
  const rig = new AgentRig();
  rig.leftovers = [leftover("loden")];
  await rig.start();
  const removed = rig.calls.indexOf("remove device flannel.1 of loden");
  assertEquals(removed >= 0, true);
  assertEquals(removed < rig.calls.indexOf("backend.start"), true);
  assertEquals(codes(rig).includes("network.leftovers"), false);
  await rig.stop();
});

Deno.test("what flannel has left is a warning with the command, until it is gone", async () => {
  const rig = new AgentRig();
  rig.leftovers = [leftover("flannel")];
  await rig.start();
  const [warning] = rig.state.warnings();
  assertEquals(warning?.code, "network.leftovers");
  assertStringIncludes(warning!.text, "ip link delete flannel.1");
  assertStringIncludes(warning!.text, "--take-over-devices");
  rig.leftovers = [];
  await rig.clock.advance(6_000);
  assertEquals(codes(rig).includes("network.leftovers"), false);
  await rig.stop();
});

Deno.test("--take-over-devices removes what flannel has left", async () => {
  const rig = new AgentRig({ takeOverDevices: true });
  rig.leftovers = [leftover("flannel")];
  await rig.start();
  assertEquals(rig.leftovers, []);
  assertEquals(codes(rig).includes("network.leftovers"), false);
  await rig.stop();
});

Deno.test("a backend that encrypts waits until no other route can take its packets", async () => {
  const rig = new AgentRig();
  rig.etcd.putConfig(
    '{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}',
  );
  rig.leftovers = [leftover("flannel")];
  await rig.start();
  await rig.clock.advance(30_000);
  assertEquals(rig.calls.includes("backend.start"), false);
  assertEquals(codes(rig).includes("network.leftovers"), true);
  rig.leftovers = [];
  await rig.clock.advance(30_000);
  assertEquals(rig.calls.includes("backend.start"), true);
  await rig.stop();
});

Deno.test("what a former backend has left behind is removed while the network runs", async () => {
  const rig = new AgentRig();
  await rig.start();
  rig.leftovers = [leftover("loden")];
  await rig.clock.advance(6_000);
  assertEquals(rig.leftovers, []);
  await rig.stop();
});

Deno.test("a running network does not change to a backend that encrypts before", async () => {
  const rig = new AgentRig();
  await rig.start();
  rig.leftovers = [leftover("flannel")];
  rig.etcd.putConfig(
    '{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}',
  );
  await rig.clock.advance(30_000);
  const running = () =>
    rig.backends.filter(({ context, stopped }) => context && !stopped)
      .map(({ type }) => type);
  // The former one serves all peers until then.
  assertEquals(running(), ["udp"]);
  assertEquals(codes(rig).includes("network.leftovers"), true);
  assertStringIncludes(rig.state.snapshot().waitingFor!, "flannel.1");
  rig.leftovers = [];
  await rig.clock.advance(30_000);
  assertEquals(running(), ["wireguard"]);
  assertEquals(rig.state.snapshot().waitingFor, null);
  await rig.stop();
});

Deno.test("what a failed backend has left is removed when the next one runs", async () => {
  const rig = new AgentRig();
  await rig.start();
  rig.etcd.putConfig(
    '{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}',
  );
  const started = rig.calls.length;
  for (const backend of rig.backends) {
    const stop = backend.stop.bind(backend);
    backend.stop = async () => {
      await stop();
      rig.leftovers = [leftover("loden")];
    };
  }
  await rig.settle();
  const calls = rig.calls.slice(started);
  const removed = calls.indexOf("remove device flannel.1 of loden");
  assertEquals(removed >= 0, true);
  assertEquals(removed > calls.indexOf("backend.remove"), true);
  await rig.stop();
});

Deno.test("a look for leftovers that fails is repeated", async () => {
  const rig = new AgentRig();
  await rig.start();
  let looks = 0;
  Object.defineProperty(rig, "leftovers", {
    get() {
      looks++;
      throw new NetlinkError("list routes", ERRNO.EAGAIN);
    },
  });
  await rig.clock.advance(130_000);
  assertEquals(looks, 3);
  assertEquals(codes(rig).includes("agent.task-died"), false);
  await rig.stop();
});

Deno.test("a backend that encrypts already does not wait with a change of its subnet", async () => {
  const rig = new AgentRig();
  rig.etcd.putConfig(
    '{"Network":"10.1.0.0/16","Backend":{"Type":"wireguard"}}',
  );
  await rig.start();
  rig.leftovers = [leftover("flannel")];
  rig.membership.move(parseCidr("10.1.77.0/24")!);
  await rig.settle();
  const last = rig.backends.at(-1)!;
  assertEquals(formatCidr(last.context!.subnet), "10.1.77.0/24");
  await rig.stop();
});

Deno.test("a running network waits for nothing after its new backend has started at last", async () => {
  let busy = false;
  const rig = new AgentRig({
    backend: {
      startError: () => busy ? new LodenError("x", "busy") : undefined,
    },
  });
  await rig.start();
  busy = true;
  rig.etcd.putConfig('{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}');
  await rig.clock.advance(10_000);
  assertEquals(rig.state.snapshot().waitingFor, "busy (loden doctor)");
  busy = false;
  await rig.clock.advance(60_000);
  assertEquals(rig.state.snapshot().waitingFor, null);
  await rig.stop();
});
