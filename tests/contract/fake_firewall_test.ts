import { FakeFirewall } from "../fakes/fake_firewall.ts";
import { testFirewall } from "./firewall_contract.ts";

testFirewall("fake firewall", () => new FakeFirewall());
