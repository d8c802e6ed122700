import { FakeRtnetlink } from "../fakes/fake_rtnetlink.ts";
import { rtnetlinkContract } from "./rtnetlink_contract.ts";

rtnetlinkContract("FakeRtnetlink", () => {
  const rtnetlink = new FakeRtnetlink();
  return {
    rtnetlink,
    addBridge: (name) => rtnetlink.addLink({ name, kind: "bridge" }).index,
    [Symbol.dispose]: () => rtnetlink[Symbol.dispose](),
  };
});
