/**
 * Features of the real kernel are tried, and nothing is left of it.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FEATURES } from "../../backend/feature_trials.ts";
import { runFeatureTrials } from "../../backend/run_feature_trials.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { runSync, testInNamespace } from "./in_namespace.ts";

const NEVER = new AbortController().signal;

/** What the trials could have changed. */
function snapshot(): unknown {
  using rtnetlink = new KernelRtnetlink();
  return {
    links: rtnetlink.links().map(({ index, name }) => [index, name]),
    addresses: rtnetlink.addresses(),
    routes: rtnetlink.routes(),
    namespace: Deno.readLinkSync("/proc/self/ns/net"),
    modules: exists("/proc/modules")
      ? Deno.readTextFileSync("/proc/modules").replaceAll(/ \d+ /g, " ")
      : "",
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

testInNamespace("feature trials", import.meta.url, () => {
  Deno.test("the host is as before, and what the kernel path needs works", async () => {
    const before = snapshot();
    const trials = await runFeatureTrials(FEATURES, NEVER);
    assertEquals(snapshot(), before);
    assertEquals(trials.map(({ feature }) => feature), [...FEATURES]);
    for (const feature of ["tun", "veth", "bpf", "xdp", "vxlan"]) {
      const trial = trials.find((each) => each.feature === feature)!;
      assert(trial.works, trial.detail);
    }
    for (const { detail, feature, works } of trials) {
      assert(works || detail !== "", feature);
    }
  });

  Deno.test("a trial agrees with ip(8) where the kernel lacks a device", async () => {
    const [trial] = await runFeatureTrials(["wireguard"], NEVER);
    let works = true;
    try {
      runSync("ip", ["link", "add", "wg-test", "type", "wireguard"]);
      runSync("ip", ["link", "delete", "wg-test"]);
    } catch {
      works = false;
    }
    assertEquals(trial!.works, works);
  });

  Deno.test("an abort ends the trials", async () => {
    const stop = new AbortController();
    const trials = runFeatureTrials(FEATURES, stop.signal);
    stop.abort();
    await assertRejects(() => trials, DOMException, "abort");
  });
});
