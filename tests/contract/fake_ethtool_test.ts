import { FakeEthtool } from "../fakes/fake_ethtool.ts";
import { ethtoolContract } from "./ethtool_contract.ts";

ethtoolContract("FakeEthtool", () => {
  const ethtool = new FakeEthtool();
  ethtool.plugIn("veth7");
  return { ethtool, veth: "veth7", [Symbol.dispose]() {} };
});
