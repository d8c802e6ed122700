import { FakeRtnetlinkMonitor } from "../fakes/fake_rtnetlink_monitor.ts";
import { rtnetlinkMonitorContract } from "./rtnetlink_monitor_contract.ts";

rtnetlinkMonitorContract("FakeRtnetlinkMonitor", () => {
  const monitor = new FakeRtnetlinkMonitor();
  return {
    monitor,
    changeLink: () => monitor.tell("links"),
    putRoute: () => monitor.tell("routes"),
    addAddress: () => monitor.tell("addresses", "routes"),
    [Symbol.dispose]: () => monitor[Symbol.dispose](),
  };
});
