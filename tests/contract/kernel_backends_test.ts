/**
 * The backends on this kernel. ipip and wireguard, which not every kernel has,
 * have files of their own.
 *
 * @module
 */

import { testInNamespace } from "./in_namespace.ts";
import { kernelBackendContract } from "./kernel_backend_contract.ts";

testInNamespace("backends keep their contract", import.meta.url, () => {
  kernelBackendContract("vxlan", {
    VNI: 1,
    Port: 8472,
    GBP: false,
    Learning: false,
    DirectRouting: false,
  });
  kernelBackendContract("host-gw");
  kernelBackendContract("alloc");
  kernelBackendContract("extension");
  for (const dataPath of ["ebpf", "tun"] as const) {
    kernelBackendContract("udp", { Port: 8285 }, dataPath);
  }
});
