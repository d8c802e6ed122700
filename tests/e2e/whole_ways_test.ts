/**
 * Super-packets without a tunnel's marks: they go where they arrive whole, and
 * only as long as they do.
 *
 * @module
 */

import { assert } from "@std/assert";
import { type LinkMode, setLinkMode } from "../rig/link_mode.ts";
import { KERNEL_PATH } from "./data_paths.ts";
import { eventually, type Node, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertTcp } from "./traffic.ts";

const MEGABYTES = 100;
const OVERLAY_MTU_BYTES = 1472;
/** Of 64 KiB there are 1,526. */
const LEAST_WHOLE = 500;
/** Three times what a probe waits for, and room for a slow machine. */
const FOUND_OUT_MS = 60_000;

const suite = new OverlaySuite();

async function counter(node: Node, name: string): Promise<number> {
  return (await statusOf(node)).backend!.counters[name] ?? 0;
}

const ends = () => ({
  rig: suite.rig,
  from: suite.node(0).container,
  to: suite.node(1).container,
});

/** What is between the hosts; of their own devices none tells them. */
const setPorts = (mode: LinkMode) =>
  setLinkMode(
    suite.rig.switch,
    suite.rig.hosts.map(({ uplink }) => uplink.port),
    mode,
  );

/** Packets that a device has sent. */
async function sentBy({ host }: Node, device: string): Promise<number> {
  const path = `/sys/class/net/${device}/statistics/tx_packets`;
  return Number(await host.namespace.run(["cat", path]));
}

/** Waits until super-packets of the first host go whole, or until none does. */
async function untilTheyGo(how: "whole" | "marked"): Promise<void> {
  const sender = suite.node(0);
  const look = async () => ({
    all: await counter(sender, "tx.superPackets"),
    whole: await counter(sender, "tx.whole"),
  });
  let before = await look();
  await eventually(
    `super-packets that go ${how}`,
    async () => {
      const now = await look();
      const grown = {
        all: now.all - before.all,
        whole: now.whole - before.whole,
      };
      before = now;
      return grown;
    },
    ({ all, whole }) => all > 0 && (how === "whole" ? whole > 0 : whole === 0),
    FOUND_OUT_MS,
  );
}

suite.each(KERNEL_PATH, (test) => {
  test("where nothing cuts between the hosts, TCP goes whole, and is neither merged nor cut again", async () => {
    const [sender, receiver] = [suite.node(0), suite.node(1)];
    // By its other end packets enter the overlay device to be merged.
    const mergedBefore = await sentBy(receiver, "flannel0p");
    const forwardedBefore = await sentBy(receiver, "docker0");
    await assertTcp(ends(), MEGABYTES);
    const whole = await counter(sender, "tx.whole");
    assert(whole > LEAST_WHOLE, `${whole} super-packets went whole`);
    assert(await counter(receiver, "rx.probes") > 0);
    const merged = await sentBy(receiver, "flannel0p") - mergedBefore;
    assert(merged < whole, `${merged} packets went to be merged`);
    const forwarded = await sentBy(receiver, "docker0") - forwardedBefore;
    const pieces = MEGABYTES * 1e6 / OVERLAY_MTU_BYTES;
    assert(forwarded < pieces / 2, `the bridge sent ${forwarded} packets`);
  });

  test("when something between the hosts begins to cut, a stream goes on with marks, and whole again when nothing does", async () => {
    await using traffic = await SteadyTraffic.start(ends());
    await untilTheyGo("whole");
    for (const mode of ["software", "super"] as const) {
      await setPorts(mode);
      await untilTheyGo(mode === "super" ? "whole" : "marked");
      await traffic.soFar();
    }
    // Every byte, and every small packet.
    await traffic.assertNothingLost();
  });
});
