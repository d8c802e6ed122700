import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { testInNamespace } from "../contract/in_namespace.ts";
import { ipipContract } from "../contract/ipip_contract.ts";
import { kernelBackendContract } from "../contract/kernel_backend_contract.ts";

testInNamespace("ipip on this kernel", import.meta.url, () => {
  ipipContract("KernelRtnetlink", () => new KernelRtnetlink());
  kernelBackendContract("ipip", { DirectRouting: false });
});
