import { FakeRtnetlink } from "../fakes/fake_rtnetlink.ts";
import { FakeWireguard } from "../fakes/fake_wireguard.ts";
import { wireguardContract } from "./wireguard_contract.ts";

wireguardContract("FakeWireguard", () => {
  const rtnetlink = new FakeRtnetlink();
  return {
    rtnetlink,
    wireguard: new FakeWireguard(rtnetlink),
    [Symbol.dispose]() {},
  };
});
