import { assertEquals } from "@std/assert";
import { BACKENDS } from "../../../../backend/backends.ts";
import { ProbePlace } from "../../../../agent/probe/probe_place.ts";
import { parseNetworkConfig } from "../../../../config/network/network.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { formatIpv4 } from "../../../../net/ipv4.ts";
import type { DataPathName } from "../../../../net/peer.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { newAgentState } from "../../../support/agent_state.ts";
import { underlay } from "../agent_rig.ts";

/** A host with a backend; its overlay is up. */
class World {
  readonly clock = new FakeClock();
  readonly state = newAgentState(this.clock);
  direct: string[] | undefined = [];
  formerDevices: string[] = [];
  looks = 0;
  dataPath: DataPathName | undefined;
  readonly place: ProbePlace;

  constructor(type: string, device: string | null) {
    const config = parseNetworkConfig(
      JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: type } }),
      BACKENDS,
    );
    const plan = { config, underlay, subnet: parseCidr("10.1.5.0/24")! };
    this.state.set({ overlay: { device, mtuBytes: 1_450 } });
    this.place = new ProbePlace({
      clock: this.clock,
      state: this.state,
      network: () => ({
        plan,
        backend: {
          formerDevices: this.formerDevices,
          directDevices: () => {
            this.looks++;
            return this.direct;
          },
        },
      }),
      dataPath: () => this.dataPath,
    });
  }

  get found() {
    const { address, dataPath, devices } = this.place.target()!;
    return [formatIpv4(address), devices, dataPath];
  }
}

Deno.test("a host with an overlay device stands at its address, and packets of peers arrive there", () => {
  const world = new World("udp", "flannel0");
  world.dataPath = "tun";
  assertEquals(world.found, ["10.1.5.0", ["flannel0"], "tun"]);
  assertEquals(world.place.target()?.mtuBytes, 1_450);
  world.formerDevices = ["flannel.1"];
  assertEquals(world.found[1], ["flannel0", "flannel.1"]);
});

Deno.test("with direct routes, packets of peers arrive by the underlay as well, by interfaces that are looked up every ten seconds", async () => {
  const world = new World("vxlan", "flannel.1");
  world.direct = ["eth0"];
  assertEquals(world.found, ["10.1.5.0", ["flannel.1", "eth0"], "vxlan"]);
  world.direct = ["eth0", "eth1"];
  await world.clock.advance(9_000);
  assertEquals(world.found[1], ["flannel.1", "eth0"]);
  await world.clock.advance(1_000);
  assertEquals(world.found[1], ["flannel.1", "eth0", "eth1"]);
  assertEquals(world.looks, 2);
});

Deno.test("host-gw stands on the bridge, and its interfaces are found as soon as they are known", () => {
  const world = new World("host-gw", null);
  world.direct = undefined;
  assertEquals(world.found, ["10.1.5.1", ["eth0"], undefined]);
  world.direct = ["eth7"];
  assertEquals(world.found, ["10.1.5.1", ["eth7"], "host-gw"]);
});

Deno.test("with alloc, what carries packets is unknown: they come by the underlay, over any hops", () => {
  assertEquals(new World("alloc", null).found, [
    "10.1.5.1",
    ["eth0"],
    undefined,
  ]);
});

Deno.test("there is no place while no packets are carried", () => {
  const world = new World("udp", "flannel0");
  for (const code of ["data-path.down", "data-path.not-started"] as const) {
    world.state.raise(code, "a test");
    assertEquals(world.place.target(), undefined);
    world.state.clear(code);
  }
  world.state.set({ overlay: null });
  assertEquals(world.place.target(), undefined);
});
