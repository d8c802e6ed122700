import { FakeRtnetlink } from "../fakes/fake_rtnetlink.ts";
import { ipipContract } from "./ipip_contract.ts";

ipipContract("FakeRtnetlink", () => new FakeRtnetlink());
