/**
 * Hosts that change from an earlier version to this one and back, one by one,
 * under a ping and a TCP stream.
 *
 * The earlier version signals between hosts of one kernel
 * (`backend/udp/legacy_signals.ts`). Its sources come from this repository's
 * history, so a shallow clone is not enough.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { fromFileUrl } from "@std/path";
import { EACH_PAIR, EACH_RECEIVER_AND_LINK } from "../e2e/data_paths.ts";
import { eventually, type Node, restart, statusOf } from "../e2e/overlay.ts";
import { OverlaySuite } from "../e2e/overlay_suite.ts";
import { SteadyTraffic } from "../e2e/steady_traffic.ts";
import { run } from "../../tools/command.ts";

const EARLIER = "3cb0b6e3e5b3cdc58888b0983990876ed7776693";
const ROOT = fromFileUrl(new URL("../../", import.meta.url));
/** Enough for a probe, its answer, and the loss of trust in both. */
const SETTLE_MS = 1_500;
/** Between two probes that no peer answers are 30 seconds. */
const PROBE_MS = 45_000;

const suite = new OverlaySuite("a change of version");

async function unpackEarlier(): Promise<string> {
  const directory = `${suite.rig.directory}/earlier`;
  const archive = `${directory}.tar`;
  await run(["git", "-C", ROOT, "archive", `--output=${archive}`, EARLIER]);
  await Deno.mkdir(directory);
  await run(["tar", "-xf", archive, "-C", directory]);
  return `${directory}/cli.ts`;
}

async function change(node: Node, cliPath?: string): Promise<void> {
  node.agent.process.kill("SIGTERM");
  await node.agent.process.ended(5_000);
  await restart(suite.rig, node, [], cliPath === undefined ? {} : { cliPath });
  await delay(SETTLE_MS);
}

const counter = async (node: Node, name: string) =>
  (await statusOf(node)).backend!.counters[name] ?? 0;

const KERNEL_TO_USER_SPACE = EACH_PAIR.filter(({ dataPaths: [from, to] }) =>
  from === "ebpf" && to === "tun"
);

suite.each(
  [...EACH_RECEIVER_AND_LINK, ...KERNEL_TO_USER_SPACE],
  (test, setup) => {
    const flows = setup.dataPaths.every((path) => path === "ebpf");
    // A veth with an XDP program has its super-packets cut by the sender.
    const signals = setup.dataPaths[0] === "ebpf" &&
      setup.linkMode === "super" &&
      !setup.flags.includes("--ebpf-receive=xdp");

    test(`${flows ? "no packet is lost" : "a stream lives"} in a change of version, back and forth`, async () => {
      const earlier = await unpackEarlier();
      const [sender, receiver] = [suite.node(0), suite.node(1)];
      await using traffic = await SteadyTraffic.start({
        rig: suite.rig,
        from: sender.container,
        to: receiver.container,
      });
      await change(receiver, earlier);
      await change(sender, earlier);
      if (signals) {
        await eventually(
          "the earlier versions signal to each other",
          () => counter(sender, "tx.whole"),
          (whole) => whole > 0,
          PROBE_MS,
        );
      }
      await change(receiver);
      if (signals) {
        await eventually(
          "a probe that this version drops",
          () => counter(receiver, "rx.legacySignals"),
          (dropped) => dropped > 0,
          PROBE_MS,
        );
      }
      await change(sender);
      if (flows) await traffic.assertNothingLost();
      else await traffic.finish();
      for (const node of [sender, receiver]) {
        const warnings = node.agent.process.log().split("\n")
          .filter((line) => /"level":"(warn|error|fatal)"/.test(line));
        assertEquals(warnings, []);
        assert((await statusOf(node)).ready);
      }
    });
  },
);
