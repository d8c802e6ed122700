/**
 * A host with the kernel data path sends to one in user space: super-packets go
 * as they are where they arrive so, and only as long as they do.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type LinkMode, setLinkMode } from "../rig/link_mode.ts";
import { EACH_PAIR } from "./data_paths.ts";
import { eventually, statusOf } from "./overlay.ts";
import { OverlaySuite } from "./overlay_suite.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import { assertTcp } from "./traffic.ts";

const MEGABYTES = 100;
/** Of 64 KiB there are 1,526. */
const LEAST_WHOLE = 500;
/** Three times what a probe waits for, and room for a slow machine. */
const FOUND_OUT_MS = 90_000;

const KERNEL_TO_USER_SPACE = EACH_PAIR.filter(({ dataPaths: [from, to] }) =>
  from === "ebpf" && to === "tun"
);

const suite = new OverlaySuite();

async function counters(index: number): Promise<Record<string, number>> {
  return (await statusOf(suite.node(index))).backend!.counters;
}

const ends = () => ({
  rig: suite.rig,
  from: suite.node(0).container,
  to: suite.node(1).container,
});

/** Waits until TCP super-packets go whole, or until all are cut. */
async function untilTheyGo(how: "whole" | "cut"): Promise<void> {
  let before = await counters(0);
  await eventually(
    `super-packets that go ${how}`,
    async () => {
      const now = await counters(0);
      const grown = {
        whole: now["tx.whole"]! - before["tx.whole"]!,
        cut: now["tx.cut"]! - before["tx.cut"]!,
      };
      before = now;
      return grown;
    },
    ({ cut, whole }) => how === "whole" ? whole > 0 : whole === 0 && cut > 0,
    FOUND_OUT_MS,
  );
}

suite.each(KERNEL_TO_USER_SPACE, (test) => {
  test("where nothing cuts between the hosts, TCP arrives in super-packets, and receipts come back", async () => {
    await assertTcp(ends(), MEGABYTES);
    const [sender, receiver] = [await counters(0), await counters(1)];
    const whole = sender["tx.whole"]!;
    assert(whole > LEAST_WHOLE, `${whole} went whole`);
    assert(
      receiver["rx.whole"]! >= whole,
      `${receiver["rx.whole"]} of ${whole} came whole`,
    );
    assert(sender["tx.probes"]! > 0 && sender["rx.receipts"]! > 0);
    assertEquals(sender["rx.receipts"], receiver["tx.receipts"]);
    for (const [name, value] of Object.entries(receiver)) {
      if (name.startsWith("rx.drop.")) assertEquals(value, 0, name);
    }
  });

  test("when something between the hosts begins to cut, a stream goes on in packets, and whole again when nothing does", async () => {
    await using traffic = await SteadyTraffic.start(ends());
    await untilTheyGo("whole");
    const ports = suite.rig.hosts.map(({ uplink }) => uplink.port);
    for (const mode of ["software", "super"] satisfies LinkMode[]) {
      // Of the hosts' own devices none tells them.
      await setLinkMode(suite.rig.switch, ports, mode);
      await untilTheyGo(mode === "super" ? "whole" : "cut");
      await traffic.soFar();
    }
    // Every byte, and every small packet.
    await traffic.assertNothingLost();
  });
});
