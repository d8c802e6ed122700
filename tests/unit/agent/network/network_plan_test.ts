import { assert, assertEquals } from "@std/assert";
import {
  describePlanChange,
  isSameBackend,
  type NetworkPlan,
} from "../../../../agent/network/network_plan.ts";
import { BACKENDS } from "../../../../backend/backends.ts";
import { parseNetworkConfig } from "../../../../config/network/network.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { underlayMtu } from "../../../../net/mtu.ts";

const address = parseIpv4("192.0.2.11")!;

function planWith(Backend: unknown): NetworkPlan {
  const text = JSON.stringify({ Network: "10.1.0.0/16", Backend });
  return {
    config: parseNetworkConfig(text, BACKENDS),
    subnet: parseCidr("10.1.5.0/24")!,
    underlay: {
      interfaceName: "eth0",
      interfaceIndex: 2,
      address,
      publicIp: address,
      mtuBytes: underlayMtu(1500),
      mac: new Uint8Array(6),
    },
  };
}

Deno.test("a change of a secret option is a change, and the log does not show it", () => {
  const [first, second] = [1, 2].map((byte) =>
    new Uint8Array(32).fill(byte).toBase64()
  );
  const before = planWith({ Type: "wireguard", PSK: first });
  const after = planWith({ Type: "wireguard", PSK: second });
  assertEquals(isSameBackend(before, after), false);
  const [change, ...more] = describePlanChange(before, after);
  assertEquals(more, []);
  assert(
    /^backendOptions: .*"PSK":"hidden, SHA-256 [0-9a-f]{8}"/.test(change!),
  );
  for (const secret of [first!, second!]) assert(!change!.includes(secret));
  // Without one there is nothing to hide.
  const without = planWith({ Type: "wireguard", MTU: 1400 });
  assert(describePlanChange(before, without)[0]!.includes('-> {"ListenPort"'));
  assert(describePlanChange(before, without)[0]!.includes('"PSK":""'));
});
