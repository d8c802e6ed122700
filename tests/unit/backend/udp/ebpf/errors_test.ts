import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  FeatureAbsentError,
  KernelFeatureMissingError,
  KernelPathUnavailableError,
  NoEthernetError,
} from "../../../../../backend/udp/ebpf/errors.ts";
import { describeError } from "../../../../../errors.ts";
import { BpfError } from "../../../../../linux/bpf/errors.ts";
import { ERRNO } from "../../../../../linux/errno.ts";

Deno.test("what keeps packets out of the kernel is said once, with the cause's own hint", () => {
  const cause = new BpfError("make the map loden_peers", ERRNO.EPERM);
  const error = new KernelPathUnavailableError(cause);
  assertEquals([error.message, error.hint], [cause.message, cause.hint]);
  assertEquals(error.cause, cause);
  assertEquals(describeError(error).split(cause.hint!).length, 2);
});

Deno.test("a cause without a hint leaves the choice of the other path", () => {
  for (const cause of [new Error("odd"), new BpfError("x", ERRNO.ENOSPC)]) {
    const { hint } = new KernelPathUnavailableError(cause);
    assertStringIncludes(hint!, "--datapath=tun");
  }
});

Deno.test("an underlay without Ethernet is named, and what it is instead", () => {
  assertStringIncludes(
    new NoEthernetError("wg0", "wireguard").message,
    "wg0 must be an Ethernet device: current value is wireguard",
  );
  assertStringIncludes(
    new NoEthernetError("ppp0", "").message,
    "current value is a device without a MAC address",
  );
});

Deno.test("the error about a kernel names the feature, its version and what the kernel said", () => {
  const feature = { name: "bpf_redirect_neigh", since: "5.10" };
  const said = new BpfError("load the program loden_probe", ERRNO.EPERM);
  const error = new KernelFeatureMissingError(feature, said);
  assertStringIncludes(
    error.message,
    "it needs bpf_redirect_neigh (since Linux 5.10): Cannot load the program loden_probe: the kernel answered EPERM",
  );
  assertEquals(error.hint, said.hint);
  assertStringIncludes(
    new KernelFeatureMissingError(
      feature,
      new FeatureAbsentError("veth", "there is none"),
    ).hint!,
    "--datapath=tun",
  );
});
