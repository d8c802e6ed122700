import { BACKENDS } from "../../../../backend/backends.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NetworkConfigError } from "../../../../config/errors.ts";
import {
  type NetworkConfig,
  parseNetworkConfig,
} from "../../../../config/network/network.ts";
import { describeError } from "../../../../errors.ts";
import { contains, formatCidr, overlaps } from "../../../../net/cidr.ts";
import { formatIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import { poolAdmits } from "../../../../net/subnet_pool.ts";

const TYPES = BACKENDS.specs.map(({ type }) => type).join(", ");
const KEY = "/coreos.com/network/config";

const parse = (text: string) => parseNetworkConfig(text, BACKENDS);

function refusal(value: unknown): NetworkConfigError {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return assertThrows(
    () => parseNetworkConfig(text, BACKENDS, KEY),
    NetworkConfigError,
  );
}

function message(value: unknown): string {
  const text = describeError(refusal(value));
  const start = `Cannot use the network config from ${KEY}: `;
  assertEquals(text.startsWith(start), true, text);
  assertEquals(text.includes("\n"), false);
  return text.slice(start.length);
}

function pool(value: unknown): string {
  const { network, subnetLength, first, last } =
    parse(JSON.stringify(value)).pool;
  return `${formatCidr(network)} /${subnetLength} ` +
    `${formatIpv4(first)}-${formatIpv4(last)}`;
}

Deno.test("the smallest config gives flannel's defaults", () => {
  const text = '{ "Network": "10.1.0.0/16" }';
  const config: NetworkConfig = parse(text);
  assertEquals(config, {
    pool: {
      network: { address: toIpv4(0x0a010000), prefixLength: 16 },
      subnetLength: 24,
      first: toIpv4(0x0a010100),
      last: toIpv4(0x0a01ff00),
    },
    backend: { type: "udp", options: { Port: 8285 } },
    enableNfTables: false,
    ignoredKeys: [],
    raw: text,
  });
});

Deno.test("length and range follow flannel HEAD", () => {
  const table: [unknown, string][] = [
    [
      { Network: "10.3.0.0/16" },
      "10.3.0.0/16 /24 10.3.1.0-10.3.255.0",
    ],
    [
      {
        Network: "10.1.0.0/16",
        SubnetLen: 28,
        SubnetMin: "10.1.10.0",
        SubnetMax: "10.1.50.0",
      },
      "10.1.0.0/16 /28 10.1.10.0-10.1.50.0",
    ],
    [{ Network: "10.1.5.7/16" }, "10.1.0.0/16 /24 10.1.1.0-10.1.255.0"],
    [{ Network: "10.0.0.0/8" }, "10.0.0.0/8 /24 10.0.1.0-10.255.255.0"],
    [{ Network: "10.1.0.0/22" }, "10.1.0.0/22 /24 10.1.1.0-10.1.3.0"],
    [{ Network: "10.1.0.0/23" }, "10.1.0.0/23 /25 10.1.0.128-10.1.1.128"],
    [{ Network: "10.1.0.0/24" }, "10.1.0.0/24 /26 10.1.0.64-10.1.0.192"],
    [{ Network: "10.1.0.0/28" }, "10.1.0.0/28 /30 10.1.0.4-10.1.0.12"],
    [
      { Network: "10.1.0.0/16", SubnetLen: 0 },
      "10.1.0.0/16 /24 10.1.1.0-10.1.255.0",
    ],
    [
      { Network: "10.1.0.0/16", SubnetLen: 18 },
      "10.1.0.0/16 /18 10.1.64.0-10.1.192.0",
    ],
    [
      { Network: "10.1.0.0/16", SubnetMin: "0.0.0.0", SubnetMax: "0.0.0.0" },
      "10.1.0.0/16 /24 10.1.1.0-10.1.255.0",
    ],
    [
      { Network: "10.1.0.0/16", SubnetMin: "10.1.0.0" },
      "10.1.0.0/16 /24 10.1.0.0-10.1.255.0",
    ],
    [{ Network: "240.0.0.0/4" }, "240.0.0.0/4 /24 240.0.1.0-255.255.255.0"],
  ];
  for (const [value, expected] of table) assertEquals(pool(value), expected);
});

Deno.test("keys match whatever their case, the last of several holds, null is nothing", () => {
  assertEquals(
    parse(
      '{"network":"10.1.0.0/16","NETWORK":"10.2.0.0/16","subnetlen":28,' +
        '"subnetLen":null,"backend":{"TYPE":"UDP","PORT":9000}}',
    ).pool.subnetLength,
    28,
  );
  const { pool, backend } = parse(
    '{"Network":"10.1.0.0/16","Network":"10.2.0.0/16","SubnetLen":20,' +
      '"SUBNETLEN":28,"Backend":{"type":"Udp","port":9000,"Port":9001}}',
  );
  assertEquals(formatCidr(pool.network), "10.2.0.0/16");
  assertEquals(pool.subnetLength, 28);
  assertEquals(backend, { type: "udp", options: { Port: 9001 } });
});

Deno.test("keys that mean nothing are ignored and named", () => {
  const { ignoredKeys } = parse(
    '{"Network":"10.1.0.0/16","SubnetLenght":20,"__proto__":{"a":1},' +
      '"Backend":{"Type":"udp","Prot":1}}',
  );
  assertEquals(ignoredKeys, [
    { key: "SubnetLenght", near: "SubnetLen" },
    { key: "__proto__", near: undefined },
    { key: "Backend.Prot", near: "Backend.Port" },
  ]);
});

Deno.test("what is not JSON is refused", () => {
  assertEquals(
    message(""),
    'it must be JSON: current value is empty (for example { "Network": ' +
      '"10.1.0.0/16" })',
  );
  for (
    const text of [
      "{",
      "Network=10.1.0.0/16",
      "{'Network':'10.1.0.0/16'}",
      '{"Network":"10.1.0.0/16",}',
      '{"Network":"10.1.0.0/16"} {}',
      '\ufeff{"Network":"10.1.0.0/16"}',
    ]
  ) {
    assertEquals(refusal(text).code, "network.json", text);
    assertEquals(message(text).startsWith("it must be JSON: "), true);
  }
});

Deno.test("a value that is not an object is refused", () => {
  for (const text of ["[]", "1", '"10.1.0.0/16"', "true"]) {
    assertEquals(
      message(text),
      `the config must be a JSON object: current value is ${text} (for ` +
        'example { "Network": "10.1.0.0/16" })',
    );
  }
});

Deno.test("a missing Network is refused, also when it is 0.0.0.0/0", () => {
  for (const value of [{}, null, { EnableNFTables: true }]) {
    assertEquals(
      message(value),
      "Network must be an IPv4 network in CIDR notation: current value is " +
        'missing (for example "Network": "10.1.0.0/16")',
    );
  }
  for (const Network of ["0.0.0.0/0", "10.0.0.0/0"]) {
    assertEquals(refusal({ Network }).code, "network.network");
  }
});

Deno.test("a Network that is none is refused with one that is", () => {
  assertEquals(
    message({ Network: "10.7.0.0" }),
    "Network must be an IPv4 network in CIDR notation: current value is " +
      '"10.7.0.0" (for example "Network": "10.7.0.0/16")',
  );
  for (
    const Network of [
      "",
      "10.1.0.0/33",
      "10.1.0/16",
      "010.1.0.0/16",
      "10.1.0.0/016",
      "10.1.0.256/16",
      " 10.1.0.0/16",
      "fc00::/48",
      1,
      null,
      {},
    ]
  ) assertEquals(refusal({ Network }).code, "network.network");
});

Deno.test("a Network too small for four subnets is refused", () => {
  assertEquals(
    message({ Network: "10.1.0.16/29" }),
    "Network must be a /28 or larger, with room for four subnets: current " +
      'value is "10.1.0.16/29" (for example "Network": "10.1.0.16/28")',
  );
  assertEquals(
    refusal({ Network: "10.1.0.0/32", SubnetLen: 30 }).code,
    "network.too-small",
  );
});

Deno.test("a SubnetLen outside its rule is refused with the nearest that passes", () => {
  const rule = "SubnetLen must be from 18 to 30 in 10.1.0.0/16, which must " +
    "have room for four subnets: current value is ";
  const Network = "10.1.0.0/16";
  for (
    const [SubnetLen, example] of [[17, 18], [1, 18], [-1, 18], [31, 30], [
      99,
      30,
    ]]
  ) {
    assertEquals(
      message({ Network, SubnetLen }),
      `${rule}${SubnetLen} (for example "SubnetLen": ${example})`,
    );
  }
  assertEquals(
    refusal({ Network: "10.1.0.0/24", SubnetLen: 25 }).code,
    "network.subnet-len",
  );
});

Deno.test("a SubnetLen of another type is refused, as Go refuses it", () => {
  for (
    const literal of ['"24"', "24.0", "2.4e1", "24.5", "true", "[24]", "-0"]
  ) {
    const text = `{"Network":"10.1.0.0/16","SubnetLen":${literal}}`;
    assertEquals(refusal(text).code, "network.subnet-len", literal);
    assertEquals(message(text).endsWith('(for example "SubnetLen": 24)'), true);
  }
});

Deno.test("SubnetMin and SubnetMax must lie in Network", () => {
  const Network = "10.1.0.0/16";
  assertEquals(
    message({ Network, SubnetMin: "10.2.0.0" }),
    'SubnetMin must be in 10.1.0.0/16: current value is "10.2.0.0" (for ' +
      'example "SubnetMin": "10.1.1.0")',
  );
  assertEquals(
    message({ Network, SubnetMax: "10.0.255.0" }),
    'SubnetMax must be in 10.1.0.0/16: current value is "10.0.255.0" (for ' +
      'example "SubnetMax": "10.1.255.0")',
  );
});

Deno.test("SubnetMin and SubnetMax must begin a subnet, and the nearest is named", () => {
  const Network = "10.1.0.0/16";
  assertEquals(
    message({ Network, SubnetMin: "10.1.10.1" }),
    "SubnetMin must be the first address of a /24 (SubnetLen): current value " +
      'is "10.1.10.1" (for example "SubnetMin": "10.1.10.0")',
  );
  assertEquals(
    message({ Network, SubnetMax: "10.1.50.255" }).endsWith(
      '(for example "SubnetMax": "10.1.51.0")',
    ),
    true,
  );
  assertEquals(
    message({ Network, SubnetMax: "10.1.255.255" }).endsWith(
      '(for example "SubnetMax": "10.1.255.0")',
    ),
    true,
  );
});

Deno.test("SubnetMin and SubnetMax of another type are refused with a value from the Network", () => {
  for (const SubnetMin of ["x", "10.1.1", 5, null, "fc00::"]) {
    const error = refusal({ Network: "10.9.0.0/16", SubnetMin });
    assertEquals(error.code, "network.subnet-min");
    assertEquals(error.hint, 'for example "SubnetMin": "10.9.1.0"');
  }
  const error = refusal({ Network: "10.9.0.0/16", SubnetMax: "y" });
  assertEquals(error.hint, 'for example "SubnetMax": "10.9.255.0"');
});

Deno.test("a range that is empty is refused before anybody looks for a subnet in it", () => {
  const Network = "10.1.0.0/16";
  assertEquals(
    message({ Network, SubnetMin: "10.1.9.0", SubnetMax: "10.1.3.0" }),
    "SubnetMin must be at most 10.1.3.0, the last subnet (SubnetMax): current " +
      'value is "10.1.9.0" (for example "SubnetMin": "10.1.3.0")',
  );
  assertEquals(
    refusal({ Network, SubnetMax: "10.1.0.0" }).code,
    "network.subnet-max",
  );
});

Deno.test("a backend that this release lacks is refused with what to use, and waiting is no use", () => {
  for (const Type of ["IPsec", "tencent-vpc", "ali-vpc", "aws-vpc", "GCE"]) {
    const value = { Network: "10.1.0.0/16", Backend: { Type } };
    assertStringIncludes(
      message(value),
      `Backend.Type must be one of ${TYPES}, because this ` +
        `release does not have ${Type.toLowerCase()}: use `,
    );
    assertEquals(refusal(value).code, "network.backend-unavailable");
    assertEquals(refusal(value).retryable, false);
  }
});

Deno.test("an unknown backend is refused with the known ones", () => {
  for (
    const Backend of [
      {},
      { Type: "" },
      { Type: "udpp" },
      { Type: "toString" },
      { Type: 1 },
      null,
    ]
  ) {
    const value = { Network: "10.1.0.0/16", Backend };
    assertEquals(refusal(value).code, "network.backend-unknown");
    assertEquals(refusal(value).retryable, false);
    assertStringIncludes(
      message(value),
      `Backend.Type must be one of ${TYPES}: `,
    );
  }
  for (const Backend of ["udp", [], 1]) {
    assertEquals(
      refusal({ Network: "10.1.0.0/16", Backend }).code,
      "network.backend-type",
    );
  }
});

Deno.test("a backend has its own options, and those of another are ignored", () => {
  const read = (Backend: unknown) =>
    parse(JSON.stringify({ Network: "10.1.0.0/16", Backend }));
  const vxlan = read({ Type: "VXLAN", vni: 7, port: 4789, PSK: "no" });
  assertEquals(vxlan.backend, {
    type: "vxlan",
    options: {
      VNI: 7,
      Port: 4789,
      GBP: false,
      Learning: false,
      DirectRouting: false,
    },
  });
  assertEquals(vxlan.ignoredKeys.map(({ key }) => key), ["Backend.PSK"]);
  const hostGw = read({ Type: "host-gw", Port: 1 });
  assertEquals(hostGw.backend, { type: "host-gw", options: {} });
  assertEquals(hostGw.ignoredKeys.map(({ key }) => key), ["Backend.Port"]);
});

/** Values that each option must refuse, by backend. */
const BAD_OPTIONS: Readonly<Record<string, Record<string, unknown[]>>> = {
  udp: { Port: [0, -1, 65_536, "8285", 1.5, true, [], {}] },
  vxlan: {
    VNI: [-1, 10_000_000, 0.5, "1", true],
    Port: [-1, 65_536, "8472"],
    MTU: [0, 50, 625, 65_536, 70_000, "1500"],
    GBP: [1, "true"],
    Learning: ["yes", 0],
    DirectRouting: [0, "on"],
    // Not used on Linux, and so not checked.
    Name: [],
    MacPrefix: [],
  },
  "host-gw": {},
  ipip: { DirectRouting: [1, "true", {}] },
  alloc: {},
  extension: {
    PreStartupCommand: [1, " ", "\n\t", ["true"]],
    PostStartupCommand: [true, " "],
    SubnetAddCommand: [{}, "\u00a0"],
    SubnetRemoveCommand: [0, " "],
  },
};

for (const [Type, options] of Object.entries(BAD_OPTIONS)) {
  Deno.test(`options of the ${Type} backend outside their range are refused by name`, () => {
    const spec = BACKENDS.specs.find(({ type }) => type === Type)!;
    assertEquals(Object.keys(options).sort(), Object.keys(spec.options).sort());
    for (const [key, values] of Object.entries(options)) {
      for (const option of values) {
        const value = {
          Network: "10.1.0.0/16",
          Backend: { Type, [key]: option },
        };
        assertStringIncludes(message(value), `Backend.${key} must be `);
        assertEquals(refusal(value).code, "network.backend-option");
        assertEquals(refusal(value).retryable, false);
        // What the refusal proposes passes.
        const proposal = JSON.parse(
          `{${refusal(value).hint!.replace("for example ", "")}}`,
        );
        parse(JSON.stringify({ ...value, Backend: { Type, ...proposal } }));
      }
    }
  });
}

for (const { options, type } of BACKENDS.specs) {
  Deno.test(`the ${type} backend takes its type in any case, null as left out, and names what is another's`, () => {
    const foreign = BACKENDS.specs.flatMap((spec) => Object.keys(spec.options))
      .find((key) => !(key in options))!;
    const Backend = {
      tYPE: type.toUpperCase(),
      ...Object.fromEntries(Object.keys(options).map((key) => [key, null])),
      [foreign]: "x",
    };
    const read = parse(JSON.stringify({ Network: "10.1.0.0/16", Backend }));
    const plain = parse(
      JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: type } }),
    );
    assertEquals(read.backend, plain.backend);
    assertEquals(read.backend.type, type);
    assertEquals(
      read.ignoredKeys.map(({ key }) => key),
      [`Backend.${foreign}`],
    );
  });
}

Deno.test("the udp backend's port is a port", () => {
  const Network = "10.1.0.0/16";
  for (const Port of [0, -1, 65536, "8285", 1.5, true]) {
    const value = { Network, Backend: { Type: "udp", Port } };
    assertEquals(refusal(value).code, "network.backend-option");
    assertEquals(refusal(value).hint, 'for example "Port": 8285');
    assertEquals(refusal(value).retryable, false);
  }
  const text = JSON.stringify({
    Network,
    Backend: { Type: "udp", Port: null },
  });
  assertEquals(parse(text).backend.options, { Port: 8285 });
});

Deno.test("IPv6 is refused in one line, and its other keys do no harm", () => {
  const Network = "10.1.0.0/16";
  assertEquals(
    message({ Network, EnableIPv6: true, IPv6Network: "fc00::/48" }),
    "EnableIPv6 must be false or left out, because this release carries IPv4 " +
      'only: current value is true (for example "EnableIPv6": false)',
  );
  assertEquals(
    message({ Network, EnableIPv4: false }).startsWith("EnableIPv4 must be "),
    true,
  );
  assertEquals(
    pool({ Network, EnableIPv6: false, IPv6Network: "fc00::/48" }),
    "10.1.0.0/16 /24 10.1.1.0-10.1.255.0",
  );
  assertEquals(refusal({ Network, IPv6SubnetLen: "64" }).code, "network.type");
});

Deno.test("switches are booleans", () => {
  const Network = "10.1.0.0/16";
  assertEquals(
    parse(JSON.stringify({ Network, EnableNFTables: true }))
      .enableNfTables,
    true,
  );
  for (const key of ["EnableNFTables", "EnableIPv4", "EnableIPv6"]) {
    assertEquals(
      message({ Network, [key]: "true" }).startsWith(
        `${key} must be true or false: current value is "true"`,
      ),
      true,
    );
  }
});

Deno.test("a config that could be retried later says so", () => {
  for (const text of ["", "{}", '{"Network":"10.1.0.0/29"}']) {
    assertEquals(refusal(text).retryable, true);
  }
});

const anyConfig = fc.record({
  Network: fc.tuple(fc.nat(0xffffffff), fc.integer({ min: 1, max: 32 }))
    .map(([address, length]) => `${formatIpv4(toIpv4(address))}/${length}`),
  SubnetLen: fc.integer({ min: 0, max: 33 }),
  SubnetMin: fc.nat(0xffffffff).map((n) => formatIpv4(toIpv4(n))),
  SubnetMax: fc.nat(0xffffffff).map((n) => formatIpv4(toIpv4(n))),
}, { requiredKeys: ["Network"] });

Deno.test("whatever passes gives a pool whose bounds may be leased", () => {
  fc.assert(fc.property(anyConfig, (value) => {
    let config: NetworkConfig;
    try {
      config = parse(JSON.stringify(value));
    } catch (error) {
      if (error instanceof NetworkConfigError) return;
      throw error;
    }
    const { pool } = config;
    for (const address of [pool.first, pool.last]) {
      const subnet = { address, prefixLength: pool.subnetLength };
      assertEquals(poolAdmits(pool, subnet), true);
      assertEquals(contains(pool.network, address), true);
      assertEquals(overlaps(pool.network, subnet), true);
    }
  }));
});

Deno.test("putting in what each refusal proposes ends in a config that passes", () => {
  fc.assert(fc.property(anyConfig, (value) => {
    let text = JSON.stringify(value);
    // Each of the four keys is mended at most twice: for itself, then for another.
    for (let attempt = 0; attempt < 8; attempt++) {
      try {
        return void parse(text);
      } catch (error) {
        if (!(error instanceof NetworkConfigError)) throw error;
        const proposal = error.hint!.replace("for example ", "");
        text = JSON.stringify({
          ...JSON.parse(text),
          ...JSON.parse(`{${proposal}}`),
        });
      }
    }
    throw new Error(`still refused: ${text}`);
  }));
});

Deno.test("addresses that no host routes to another one are no network", () => {
  for (
    const network of ["127.0.0.0/16", "224.0.0.0/8", "0.0.0.0/1", "64.0.0.0/2"]
  ) {
    assertThrows(
      () => parse(`{ "Network": "${network}" }`),
      NetworkConfigError,
      "Network must be apart from",
    );
  }
});

Deno.test("options of the wireguard backend are read as flannel reads them", () => {
  const read = (options: Record<string, unknown>) =>
    parse(JSON.stringify({
      Network: "10.1.0.0/16",
      Backend: { Type: "WireGuard", ...options },
    })).backend;
  assertEquals(read({}), {
    type: "wireguard",
    options: {
      ListenPort: 51820,
      PSK: "",
      PersistentKeepaliveInterval: 0,
      Mode: "separate",
    },
  });
  const PSK = new Uint8Array(32).fill(7).toBase64();
  const options = {
    ListenPort: 4242,
    ListenPortV6: 4243,
    MTU: 1400,
    PSK,
    PersistentKeepaliveInterval: 25,
    Mode: "auto",
  };
  assertEquals(read(options), { type: "wireguard", options });
});

Deno.test("options of the wireguard backend outside their range are refused by name", () => {
  const bad: [string, unknown][] = [
    ["ListenPort", 0],
    ["ListenPort", 65_536],
    ["ListenPort", "51820"],
    ["ListenPortV6", 0],
    ["MTU", 655],
    ["MTU", 70_000],
    ["PersistentKeepaliveInterval", -1],
    ["PersistentKeepaliveInterval", 65_536],
    ["Mode", "ipv6"],
    ["Mode", "both"],
    ["Mode", 4],
    ["PSK", 7],
    ["PSK", "short"],
    ["PSK", new Uint8Array(31).toBase64()],
    ["PSK", new Uint8Array(33).toBase64()],
  ];
  for (const [key, option] of bad) {
    const value = {
      Network: "10.1.0.0/16",
      Backend: { Type: "wireguard", [key]: option },
    };
    assertStringIncludes(message(value), `Backend.${key} must be `);
    assertEquals(refusal(value).code, "network.backend-option");
  }
});

Deno.test("a preshared key that is refused is not shown", () => {
  const PSK = new Uint8Array(31).fill(7).toBase64();
  const text = message({
    Network: "10.1.0.0/16",
    Backend: { Type: "wireguard", PSK },
  });
  assertStringIncludes(
    text,
    "Backend.PSK must be 32 bytes in base64, as wg genpsk prints them: " +
      'current value is "hidden"',
  );
  assertEquals(text.includes(PSK), false);
});
