import { assertEquals } from "@std/assert";
import { filterFor } from "../../../../agent/probe/probe_filter.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";

const TARGET = { devices: ["flannel0"], dataPath: "ebpf" };

/** @param dataPath of the peer. */
function peer(subnet: string, address: string, dataPath?: "ebpf" | "tun") {
  return {
    peer: {
      subnet: parseCidr(subnet)!,
      publicIp: parseIpv4("192.0.2.12")!,
      backendType: "udp",
      stale: false,
      ...dataPath && { dataPath },
    },
    address: parseIpv4(address)!,
  };
}

for (
  const [what, peers, clear] of [
    [
      "hosts with the first addresses",
      [
        peer("10.1.255.0/24", "10.1.255.0"),
        peer("10.1.6.0/24", "10.1.6.0"),
      ],
      "0.0.0.255",
    ],
    [
      "hosts with the next ones",
      [peer("10.1.6.0/24", "10.1.6.1"), peer("10.1.7.0/24", "10.1.7.1")],
      "0.0.0.254",
    ],
    [
      "subnets of several sizes",
      [
        peer("10.1.6.0/24", "10.1.6.0"),
        peer("10.1.7.64/26", "10.1.7.64"),
      ],
      "0.0.0.63",
    ],
  ] as const
) {
  Deno.test(`the kernel tells containers from ${what}`, () => {
    assertEquals(filterFor(TARGET, peers), {
      devices: ["flannel0"],
      leastTtl: 255,
      clearSourceBits: parseIpv4(clear)!,
    });
  });
}

Deno.test("of hosts with either data path, the least TTL passes", () => {
  const peers = [
    peer("10.1.6.0/24", "10.1.6.0", "tun"),
    peer("10.1.7.0/24", "10.1.7.0", "ebpf"),
  ];
  assertEquals(filterFor(TARGET, peers).leastTtl, 254);
});

Deno.test("without peers, any address passes: it may be the first one's", () => {
  assertEquals(filterFor(TARGET, []).clearSourceBits, 0);
});
