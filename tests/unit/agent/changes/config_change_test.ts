import { BACKENDS } from "../../../../backend/backends.ts";
import {
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { planConfigChange } from "../../../../agent/changes/config_change.ts";
import { ConfigChangeError } from "../../../../agent/errors.ts";
import { parseNetworkConfig } from "../../../../config/network/network.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const BEFORE = {
  Network: "10.1.0.0/16",
  SubnetLen: 24,
  SubnetMin: "10.1.2.0",
  SubnetMax: "10.1.200.0",
};

function change(next: Record<string, unknown>, before: unknown = BEFORE) {
  const running = {
    config: parseNetworkConfig(JSON.stringify(before), BACKENDS),
    subnet: parseCidr("10.1.5.0/24")!,
    peers: ["10.1.2.0/24", "10.1.7.0/24"].map((text) => parseCidr(text)!),
  };
  const config = parseNetworkConfig(
    JSON.stringify({ ...BEFORE, ...next }),
    BACKENDS,
  );
  return planConfigChange(running, config, "loden config put");
}

const TAKEN: [string, Record<string, unknown>, string[], boolean][] = [
  ["the same values", {}, [], false],
  ["an unknown key", { SubnetMinn: "10.1.3.0" }, [], false],
  [
    "another range that holds this host's subnet",
    { SubnetMin: "10.1.5.0", SubnetMax: "10.1.5.0" },
    [
      "SubnetMin: 10.1.2.0 -> 10.1.5.0",
      "SubnetMax: 10.1.200.0 -> 10.1.5.0",
    ],
    false,
  ],
  [
    "a wider Network",
    { Network: "10.0.0.0/8" },
    ["Network: 10.1.0.0/16 -> 10.0.0.0/8"],
    true,
  ],
  [
    "a narrower Network around all hosts' subnets",
    { Network: "10.1.0.0/21", SubnetMax: "10.1.7.0" },
    [
      "Network: 10.1.0.0/16 -> 10.1.0.0/21",
      "SubnetMax: 10.1.200.0 -> 10.1.7.0",
    ],
    true,
  ],
  [
    "another tool for the firewall",
    { EnableNFTables: true },
    ["EnableNFTables: false -> true"],
    true,
  ],
  [
    "another backend",
    { Backend: { Type: "vxlan", VNI: 7 } },
    ["Backend.Type: udp -> vxlan"],
    true,
  ],
  [
    "the defaults, spelled out",
    { Backend: { Type: "UDP", Port: 8285 } },
    [],
    false,
  ],
];

for (const [what, next, values, needsReplan] of TAKEN) {
  Deno.test(`a running network takes ${what}`, () => {
    const plan = change(next);
    assertEquals(
      plan.values.map(({ key, from, to }) => `${key}: ${from} -> ${to}`),
      values,
    );
    assertEquals(plan.needsReplan, needsReplan);
  });
}

const REFUSED: [string, Record<string, unknown>, string][] = [
  [
    "a Network without this host's subnet",
    { Network: "10.2.0.0/16", SubnetMin: "10.2.1.0", SubnetMax: "10.2.2.0" },
    "Network must contain this host's subnet: new value is 10.2.0.0/16",
  ],
  [
    "a Network without a peer's subnet",
    { Network: "10.1.4.0/22", SubnetMin: "10.1.4.0", SubnetMax: "10.1.7.0" },
    "Network must contain the subnets of all hosts, also 10.1.2.0/24: " +
    "new value is 10.1.4.0/22",
  ],
  [
    "a Network without those of two peers",
    {
      Network: "10.1.5.0/24",
      SubnetLen: 26,
      SubnetMin: "10.1.5.0",
      SubnetMax: "10.1.5.192",
    },
    "also 10.1.2.0/24 and 1 more: new value is 10.1.5.0/24",
  ],
  [
    "another SubnetLen",
    { SubnetLen: 26 },
    "SubnetLen must stay 24, the length of this host's subnet: new value is 26",
  ],
  [
    "a SubnetMin above this host's subnet",
    { SubnetMin: "10.1.6.0" },
    "SubnetMin must not be above this host's subnet: new value is 10.1.6.0",
  ],
  [
    "a SubnetMax below this host's subnet",
    { SubnetMax: "10.1.4.0" },
    "SubnetMax must not be below this host's subnet: new value is 10.1.4.0",
  ],
  [
    "another port",
    { Backend: { Type: "udp", Port: 8286 } },
    "Backend.Port must stay 8285, which the other hosts use: new value is 8286",
  ],
];

for (const [what, next, words] of REFUSED) {
  Deno.test(`a running network refuses ${what}`, () => {
    const error = assertThrows(() => change(next), ConfigChangeError);
    assertEquals(error.code, "config.refused");
    assertStringIncludes(error.message, "while this host has 10.1.5.0/24: ");
    assertStringIncludes(error.message, words);
  });
}

Deno.test("of several values that cannot change each is named", () => {
  const error = assertThrows(() =>
    change({ SubnetLen: 25, Backend: { Type: "udp", Port: 1 } })
  );
  assertStringIncludes(String(error), "Backend.Port");
  assertStringIncludes(String(error), "SubnetLen");
});

Deno.test("a subnet that lay outside before may lie outside", () => {
  const before = { ...BEFORE, SubnetMin: "10.1.9.0" };
  const { values } = change(
    { SubnetMin: "10.1.9.0", SubnetMax: "10.1.100.0" },
    before,
  );
  assertEquals(values.map(({ key }) => key), ["SubnetMax"]);
  assertThrows(() => change({ SubnetMin: "10.1.10.0" }, before));
});

Deno.test("the refusal of another secret does not show it", () => {
  const [former, next] = [1, 2].map((byte) => ({
    Type: "wireguard",
    PSK: new Uint8Array(32).fill(byte).toBase64(),
  }));
  const error = assertThrows(
    () => change({ Backend: next }, { ...BEFORE, Backend: former }),
    ConfigChangeError,
  );
  assertMatch(
    error.message,
    /Backend\.PSK must stay "hidden, SHA-256 \w{8}", .* new value is "hidden, SHA-256 \w{8}"/,
  );
  for (const { PSK } of [former!, next!]) {
    assertEquals(error.message.includes(PSK), false);
  }
});
