import { FakeDescriptorWatch } from "../fakes/fake_descriptor_watch.ts";
import { descriptorWatchContract } from "./descriptor_watch_contract.ts";

descriptorWatchContract("FakeDescriptorWatch", () => {
  const watch = new FakeDescriptorWatch(2);
  return {
    watch,
    setReady: (index, ready) => watch.setReady(index, ready),
    [Symbol.asyncDispose]: () => watch.stop(),
  };
});
