import { assertEquals } from "@std/assert";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { decodeProbe, encodeProbe } from "../../../../net/probe_message.ts";
import { AgentRig } from "../agent_rig.ts";

const PORT = 8_286;
const PEER = parseIpv4("10.1.6.0")!;

/** An agent whose peer answers probes. */
function probingRig(): AgentRig {
  const rig = new AgentRig({ probePort: PORT });
  rig.probes.onSend = (sent) => {
    if (sent.way !== "udp") return;
    const { nonce } = decodeProbe(sent.payload)!;
    rig.probes.bring({
      address: sent.to,
      port: PORT,
      device: "flannel0",
      ttl: 255,
      payload: encodeProbe({
        kind: "echo-reply",
        nonce,
        content: new Uint8Array(),
      }),
    });
  };
  return rig;
}

async function seconds(rig: AgentRig, count: number): Promise<void> {
  for (let second = 0; second < count; second++) {
    await rig.clock.advance(1_000);
    await rig.settle();
  }
}

Deno.test("the agent probes its peers once the network runs, and its status says what came back", async () => {
  const rig = probingRig();
  await rig.start();
  await seconds(rig, 3);
  const { peers, probes } = rig.state.snapshot();
  assertEquals(rig.probes.sent.map(({ to, from }) => [to, from]), [
    [PEER, parseIpv4("10.1.5.0")],
  ]);
  assertEquals(peers.map(({ probe }) => [probe?.state, probe?.way]), [
    ["reachable", "udp"],
  ]);
  assertEquals([probes?.port, probes?.address, probes?.reachable], [
    PORT,
    "10.1.5.0",
    1,
  ]);
  await rig.stop();
  assertEquals(rig.probes.open, 0);
});

Deno.test("no peer is blamed while this host's data path is down", async () => {
  const rig = probingRig();
  await rig.start();
  await seconds(rig, 3);
  rig.probes.onSend = () => {};
  rig.state.raise("data-path.down", "a test");
  await seconds(rig, 60);
  const codes = () => rig.state.warnings().map(({ code }) => code);
  assertEquals(codes(), ["data-path.down"]);
  assertEquals(rig.state.snapshot().probes?.address, null);
  rig.state.clear("data-path.down");
  await seconds(rig, 20);
  assertEquals(codes(), ["peers.unreachable"]);
  await rig.stop();
});

Deno.test("with --probe-port=0 nothing is sent, and the status has no probes", async () => {
  const rig = new AgentRig();
  await rig.start();
  await seconds(rig, 30);
  const { peers, probes } = rig.state.snapshot();
  assertEquals([probes, peers[0]?.probe, rig.probes.opened], [null, null, 0]);
  assertEquals(rig.probes.sent, []);
  await rig.stop();
});
