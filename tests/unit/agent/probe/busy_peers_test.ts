import { assertEquals } from "@std/assert";
import { BusyPeers } from "../../../../agent/probe/busy_peers.ts";
import { parseCidr } from "../../../../net/cidr.ts";

function traffic(subnet: string, txPackets: number, rxPackets = 0) {
  return {
    subnet: parseCidr(subnet)!,
    txPackets,
    rxPackets,
    txBytes: 0,
    rxBytes: 0,
  };
}

Deno.test("a peer is busy with packets since the last look, in either direction, more than probes are", () => {
  const peers = new BusyPeers();
  const [one, two, three] = ["10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"];
  assertEquals(peers.look([traffic(one, 9e9), traffic(two, 5)]).size, 0);
  assertEquals(
    [...peers.look([
      traffic(one, 9e9 + 3),
      traffic(two, 5, 100),
      traffic(three, 1_000),
    ])],
    [two],
  );
  // Its counters began again: it has got another slot.
  assertEquals(
    [...peers.look([
      traffic(one, 0),
      traffic(two, 6, 100),
      traffic(three, 1_000, 32),
    ])],
    [three],
  );
});
