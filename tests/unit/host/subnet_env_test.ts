import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  parseSubnetEnv,
  readSubnetEnv,
  renderSubnetEnv,
  type SubnetEnv,
} from "../../../host/subnet_env.ts";
import { cidrOf, parseCidr } from "../../../net/cidr.ts";
import { toIpv4 } from "../../../net/ipv4.ts";
import { overlayMtu } from "../../../net/mtu.ts";

const ENV: SubnetEnv = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.27.0/24")!,
  mtuBytes: overlayMtu(1472),
  ipMasq: false,
};
const TEXT = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.27.1/24\n" +
  "FLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";

Deno.test("the subnet file has flannel's lines, byte for byte", () => {
  assertEquals(renderSubnetEnv(ENV), TEXT);
  assertEquals(
    renderSubnetEnv({ ...ENV, ipMasq: true }),
    TEXT.replace("false", "true"),
  );
});

Deno.test("what is written is read back the same", () => {
  const cidr = (lengths: { min: number; max: number }) =>
    fc.tuple(fc.nat(0xffffffff), fc.integer(lengths))
      .map(([address, length]) => cidrOf(toIpv4(address), length));
  const env = fc.record({
    network: cidr({ min: 1, max: 28 }),
    subnet: cidr({ min: 2, max: 30 }),
    mtuBytes: fc.integer({ min: 68, max: 65507 }).map(overlayMtu),
    ipMasq: fc.boolean(),
  });
  fc.assert(fc.property(env, (value) => {
    assertEquals(parseSubnetEnv(renderSubnetEnv(value)), value);
  }));
});

const READ: readonly [string, Partial<SubnetEnv>][] = [
  ["", {}],
  [`export FLANNEL_SUBNET="10.1.27.1/24"`, { subnet: ENV.subnet }],
  ["FLANNEL_SUBNET=x,10.1.27.1/24,fc00::1/64", { subnet: ENV.subnet }],
  ["FLANNEL_SUBNET=10.1.27.1/24,10.1.28.1/24", {}],
  ["FLANNEL_SUBNET=10.1.27.1", {}],
  ["FLANNEL_NETWORK=10.1.0.0/16", { network: ENV.network }],
  ["FLANNEL_IPV6_SUBNET=fc00::1/64\nFLANNEL_MTU=-1\nFLANNEL_IPMASQ=yes", {}],
  ["FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true", {
    mtuBytes: overlayMtu(1450),
    ipMasq: true,
  }],
];

for (const [text, expected] of READ) {
  Deno.test(`a file with ${JSON.stringify(text)} is read as flannel does`, () => {
    assertEquals(parseSubnetEnv(text), expected);
  });
}

Deno.test("what is rendered is read back; a file that cannot be read says nothing", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, renderSubnetEnv(ENV));
    assertEquals(await readSubnetEnv(path), ENV);
  } finally {
    await Deno.remove(path);
  }
  assertEquals(await readSubnetEnv(path), {});
  assertEquals(await readSubnetEnv("/proc/self"), {});
});
