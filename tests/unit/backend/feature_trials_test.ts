import { assertEquals } from "@std/assert";
import { FEATURES, tryFeatures } from "../../../backend/feature_trials.ts";
import { ERRNO, SystemCallError } from "../../../linux/errno.ts";
import { FakeBpf } from "../../fakes/fake_bpf.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";

function parts() {
  const rtnetlink = new FakeRtnetlink();
  const bpf = new FakeBpf();
  return {
    rtnetlink,
    openBpf: () => bpf,
    openTun: () => ({
      descriptor: 0,
      name: "try0",
      tcpOffload: true,
      udpOffload: false,
    }),
  };
}

Deno.test("each feature is tried alone: one that the kernel refuses does not end the others", () => {
  const all = parts();
  all.rtnetlink.hasWireguard = false;
  const trials = tryFeatures(FEATURES, {
    ...all,
    openTun: () => {
      throw new SystemCallError("open /dev/net/tun", ERRNO.ENOENT);
    },
  });
  assertEquals(trials.map(({ feature }) => feature), [...FEATURES]);
  assertEquals(
    trials.filter(({ works }) => !works).map(({ feature }) => feature),
    ["tun", "wireguard"],
  );
  assertEquals(
    trials[0]!.detail,
    "Cannot open /dev/net/tun: the kernel answered ENOENT",
  );
});

Deno.test("a TUN says which offloads it has", () => {
  const [tun] = tryFeatures(["tun"], parts());
  assertEquals(tun, {
    feature: "tun",
    works: true,
    detail: "with TCP offload",
  });
});
