import { assertEquals, assertStringIncludes } from "@std/assert";
import { FEATURES, tryFeatures } from "../../../backend/feature_trials.ts";
import { KERNEL_FEATURES } from "../../../backend/udp/ebpf/kernel_features.ts";
import { ERRNO, SystemCallError } from "../../../linux/errno.ts";
import { FakeBpf } from "../../fakes/fake_bpf.ts";
import { FakeRtnetlink } from "../../fakes/fake_rtnetlink.ts";

function parts() {
  const rtnetlink = new FakeRtnetlink();
  const bpf = new FakeBpf();
  bpf.answerTestRuns((_, { data }) => ({
    returnValue: 0,
    data: data.slice(),
    durationNs: 1,
  }));
  return {
    bpf,
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

Deno.test("of the kernel data path, the feature that is missing is named", () => {
  const all = parts();
  all.bpf.refuse("redirect_neigh");
  const [, bpf] = tryFeatures(["veth", "bpf"], all);
  assertEquals(bpf!.works, false);
  assertStringIncludes(
    bpf!.detail,
    "bpf_redirect_neigh (since Linux 5.10): ",
  );
  assertEquals(
    bpf!.parts!.map(({ name }) => name),
    KERNEL_FEATURES.map(({ name }) => name),
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

Deno.test("what the error advises is told beside it", () => {
  const [tun] = tryFeatures(["tun"], {
    ...parts(),
    openTun: () => {
      throw new SystemCallError("open /dev/net/tun", ERRNO.ENOENT, {
        hint: "modprobe tun",
      });
    },
  });
  assertEquals(tun, {
    feature: "tun",
    works: false,
    detail: "Cannot open /dev/net/tun: the kernel answered ENOENT",
    fix: "modprobe tun",
  });
});
