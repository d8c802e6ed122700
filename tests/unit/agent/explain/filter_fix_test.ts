import { assertEquals, assertStringIncludes } from "@std/assert";
import { filterFix } from "../../../../agent/explain/stages/filter_fix.ts";
import type { OverlayFacts } from "../../../../agent/explain/snapshot.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const OVERLAY: OverlayFacts = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.5.0/24")!,
  backendType: "vxlan",
  device: "flannel.1",
  devices: ["flannel.1"],
  isBlind: false,
  underlay: undefined,
  masquerade: true,
  forwardRules: true,
};
const VXLAN = { protocol: 17, port: 8472 };
const IPIP = { protocol: 4 };

const fix = (
  table: string,
  chain: string,
  rule: string,
  traffic?: typeof VXLAN | typeof IPIP,
) =>
  filterFix(
    { verdict: "drop", by: { table, chain, rule } },
    OVERLAY,
    traffic,
  );

Deno.test("a rule that names what it drops is to be deleted", () => {
  assertEquals(
    fix("iptables-legacy mangle", "FORWARD", "-d 10.1.7.0/24 -j DROP"),
    "iptables-legacy -t mangle -D FORWARD -d 10.1.7.0/24 -j DROP",
  );
});

Deno.test("a rule or policy that drops everything stays, and packets are accepted before", () => {
  assertEquals(
    fix(
      "iptables filter",
      "FORWARD",
      '-m comment --comment "all else" -j DROP',
    ),
    "iptables -t filter -I FORWARD -s 10.1.0.0/16 -d 10.1.0.0/16 -j ACCEPT",
  );
  assertEquals(
    fix("iptables filter", "INPUT", "policy DROP", IPIP),
    "iptables -t filter -I INPUT -p 4 -j ACCEPT",
  );
  assertEquals(
    fix("nft inet fw", "forward", "rule handle 7"),
    "nft insert rule inet fw forward ip saddr 10.1.0.0/16 ip daddr 10.1.0.0/16 accept",
  );
  assertEquals(
    fix("nft inet fw", "forward", "policy DROP"),
    "nft insert rule inet fw forward ip saddr 10.1.0.0/16 ip daddr 10.1.0.0/16 accept",
  );
  assertEquals(
    fix("nft inet fw", "input", "policy DROP", VXLAN),
    "nft insert rule inet fw input meta l4proto 17 th dport 8472 accept",
  );
});

Deno.test("what Loden's own rules pass is Loden's work", () => {
  for (
    const [table, chain, rule] of [
      ["iptables filter", "DOCKER", "! -i docker0 -o docker0 -j DROP"],
      ["iptables raw", "PREROUTING", "-d 10.1.5.2/32 ! -i docker0 -j DROP"],
      ["iptables filter", "FORWARD", "policy DROP"],
    ] as const
  ) assertStringIncludes(fix(table, chain, rule), "loden firewall show");
});
