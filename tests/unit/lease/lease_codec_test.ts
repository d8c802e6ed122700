import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import {
  configKey,
  type Decoded,
  decodeLeaseValue,
  encodeLeaseValue,
  HOST_ID_FIELD,
  leaseName,
  parseLeaseName,
  subnetsPrefix,
} from "../../../lease/lease_codec.ts";
import type { LeaseAttributes } from "../../../lease/lease.ts";
import { cidrOf, parseCidr } from "../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../net/ipv4.ts";
import { FUZZ_CASES } from "../../support/fuzz_cases.ts";

function valueOf<T>(decoded: Decoded<T>): T {
  if (!decoded.ok) throw new Error(`it was refused: ${decoded.reason}`);
  return decoded.value;
}

function reasonOf(decoded: Decoded<unknown>): string {
  if (decoded.ok) throw new Error("it was not refused");
  return decoded.reason;
}

const publicIp = parseIpv4("198.51.100.1")!;

Deno.test("keys are joined and cleaned as Go's path.Join does", () => {
  assertEquals(configKey("/coreos.com/network"), "/coreos.com/network/config");
  assertEquals(
    configKey("/coreos.com//network/"),
    "/coreos.com/network/config",
  );
  assertEquals(configKey("coreos.com/./network"), "coreos.com/network/config");
  assertEquals(configKey(""), "config");
  assertEquals(configKey("/"), "/config");
  assertEquals(configKey("/a/../b"), "/b/config");
  assertEquals(
    subnetsPrefix("/coreos.com/network/"),
    "/coreos.com/network/subnets/",
  );
});

Deno.test("a subnet's key is a.b.c.d-len", () => {
  assertEquals(leaseName(parseCidr("10.1.5.0/24")!), "10.1.5.0-24");
});

Deno.test("the IPv4 half of a dual-stack key is used", () => {
  assertEquals(parseLeaseName("10.1.5.0-24&fc00:0:0:5::-64"), {
    ok: true,
    value: parseCidr("10.1.5.0/24")!,
  });
});

const BAD_NAMES = [
  "",
  "garbage",
  "10.1.5.0",
  "10.1.5.0-",
  "10.1.5.0/24",
  "10.1.5.0-32",
  "10.1.5.0-33",
  "10.1.5.0-024",
  "10.1.5.0-999999999999999999999",
  "10.1.5.7-24",
  "10.1.5-24",
  "10.1.5.256-24",
  "010.1.5.0-24",
  "10.1.5.0-24 ",
  "x10.1.5.0-24",
  "10.1.5.0-24&",
  "10.1.5.0-24&fc00::",
  "10.1.5.0-24/more",
];

for (const name of BAD_NAMES) {
  Deno.test(`the key ${JSON.stringify(name)} is refused with a reason`, () => {
    assertMatch(reasonOf(parseLeaseName(name)), /must be/);
  });
}

Deno.test("every subnet's key reads back as that subnet", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.integer({ min: 0, max: 31 }),
    (address, prefixLength) => {
      const subnet = cidrOf(toIpv4(address), prefixLength);
      assertEquals(parseLeaseName(leaseName(subnet)), {
        ok: true,
        value: subnet,
      });
    },
  ));
});

Deno.test("a udp lease has flannel HEAD's bytes, then the host id", () => {
  assertEquals(
    encodeLeaseValue({ publicIp, backendType: "udp" }),
    '{"PublicIP":"198.51.100.1","PublicIPv6":null}',
  );
  assertEquals(
    encodeLeaseValue({
      publicIp,
      backendType: "udp",
      hostId: "000000000000000000000000000000a1",
    }),
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"000000000000000000000000000000a1"}',
  );
});

Deno.test("the data path comes after the host id; a word of a later version says nothing", () => {
  const attributes: LeaseAttributes = {
    publicIp,
    backendType: "udp",
    hostId: "000000000000000000000000000000a1",
    dataPath: "ebpf",
  };
  const text = '{"PublicIP":"198.51.100.1","PublicIPv6":null,' +
    '"LodenHostId":"000000000000000000000000000000a1","LodenDataPath":"ebpf"}';
  assertEquals(encodeLeaseValue(attributes), text);
  assertEquals(valueOf(decodeLeaseValue(text)), attributes);
  for (const bad of ['"io_uring"', '"EBPF"', '""', "null", "7", "{}"]) {
    const { dataPath } = valueOf(
      decodeLeaseValue(text.replace('"ebpf"', bad)),
    );
    assertEquals(dataPath, undefined, bad);
  }
});

Deno.test("a vxlan lease has flannel HEAD's bytes", () => {
  assertEquals(
    encodeLeaseValue({
      publicIp,
      backendType: "vxlan",
      backendData: { VNI: 1, VtepMAC: "22:3d:a5:7d:cb:62" },
    }),
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"BackendType":"vxlan",' +
      '"BackendData":{"VNI":1,"VtepMAC":"22:3d:a5:7d:cb:62"}}',
  );
});

Deno.test("an alloc lease names no backend, as flannel's", () => {
  assertEquals(
    encodeLeaseValue({ publicIp, backendType: "alloc" }),
    '{"PublicIP":"198.51.100.1","PublicIPv6":null}',
  );
});

Deno.test("characters that Go escapes in JSON are escaped the same way", () => {
  const attributes: LeaseAttributes = {
    publicIp,
    backendType: "extension",
    backendData: "a<b>&\u2028\u2029",
  };
  const text = encodeLeaseValue(attributes);
  assert(text.includes(String.raw`"a\u003cb\u003e\u0026\u2028\u2029"`));
  assertEquals(decodeLeaseValue(text), { ok: true, value: attributes });
});

const FLANNEL_SAMPLES: [string, string, LeaseAttributes][] = [
  ["0.5.5 udp", '{"PublicIP":"198.51.100.1"}', {
    publicIp,
    backendType: "udp",
  }],
  ["HEAD udp", '{"PublicIP":"198.51.100.1","PublicIPv6":null}', {
    publicIp,
    backendType: "udp",
  }],
  [
    "0.5.5 vxlan",
    '{"PublicIP":"198.51.100.1","BackendType":"vxlan","BackendData":{"VtepMAC":"22:3d:a5:7d:cb:62"}}',
    {
      publicIp,
      backendType: "vxlan",
      backendData: { VtepMAC: "22:3d:a5:7d:cb:62" },
    },
  ],
  [
    "HEAD vxlan, dual stack",
    '{"PublicIP":"198.51.100.1","PublicIPv6":"2001:db8::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"22:3d:a5:7d:cb:62"},"BackendV6Data":{"VNI":1}}',
    {
      publicIp,
      backendType: "vxlan",
      backendData: { VNI: 1, VtepMAC: "22:3d:a5:7d:cb:62" },
    },
  ],
  [
    "HEAD wireguard",
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"BackendType":"wireguard","BackendData":{"PublicKey":"k","Port":51820}}',
    {
      publicIp,
      backendType: "wireguard",
      backendData: { PublicKey: "k", Port: 51820 },
    },
  ],
  [
    "hand-written, other case",
    '{ "publicip": "198.51.100.1", "backendType": "host-gw" }',
    { publicIp, backendType: "host-gw" },
  ],
];

for (const [name, text, attributes] of FLANNEL_SAMPLES) {
  Deno.test(`flannel's value is read: ${name}`, () => {
    assertEquals(decodeLeaseValue(text), { ok: true, value: attributes });
  });
}

const BAD_VALUES = [
  "",
  "garbage",
  "null",
  "[]",
  "7",
  '"198.51.100.1"',
  "{}",
  '{"PublicIP":null}',
  '{"PublicIP":7}',
  '{"PublicIP":"198.51.100"}',
  '{"PublicIP":"198.51.100.1/24"}',
  '{"PublicIP":"2001:db8::1"}',
  '{"PublicIP":"0.0.0.0","PublicIPv6":"2001:db8::1"}',
  '{"PublicIP":"127.0.0.1"}',
  '{"PublicIP":"224.0.0.1"}',
  '{"PublicIP":"255.255.255.255"}',
  '{"PublicIP":"198.51.100.1","BackendType":7}',
  '{"PublicIP":"198.51.100.1"',
  '{"PublicIP":"198.51.100.1"}}',
  `{"PublicIP":${JSON.stringify("9".repeat(10_000))}}`,
  "[".repeat(100_000),
];

for (const text of BAD_VALUES) {
  Deno.test(`the value ${text.slice(0, 60)} is refused with a short reason`, () => {
    const reason = reasonOf(decodeLeaseValue(text));
    assertMatch(reason, /must be/);
    assert(reason.length < 200);
    assert(!reason.includes("\n"));
  });
}

Deno.test("fields that this version does not know survive a rewrite", () => {
  const text =
    '{"PublicIP":"198.51.100.1","PublicIPv6":null,"LodenHostId":"000000000000000000000000000000a1","Later":{"a":[1]},"__proto__":1}';
  assertEquals(encodeLeaseValue(valueOf(decodeLeaseValue(text))), text);
});

Deno.test("a host id is 32 hexadecimal digits, and ignored otherwise", () => {
  const bad = [
    "7",
    '""',
    "null",
    '{"a":1}',
    '"\\ud800"',
    '"../.."',
    `"${"0".repeat(31)}"`,
    `"${"0".repeat(33)}"`,
    `"${"A".repeat(32)}"`,
    `"${"0".repeat(32)}\\n"`,
  ];
  for (const value of bad) {
    const attributes = valueOf(decodeLeaseValue(
      `{"PublicIP":"198.51.100.1","${HOST_ID_FIELD}":${value}}`,
    ));
    assertEquals(attributes.hostId, undefined, value);
  }
});

const attributesArbitrary: fc.Arbitrary<LeaseAttributes> = fc.record({
  publicIp: fc.integer({ min: 0x01000000, max: 0x7effffff }).map(toIpv4),
  backendType: fc.constantFrom("udp", "vxlan", "host-gw", "wireguard"),
  backendData: fc.jsonValue().filter((value) => value !== null)
    .map((value) => JSON.parse(JSON.stringify(value))),
  hostId: fc.stringMatching(/^[0-9a-f]{32}$/),
  dataPath: fc.constantFrom("ebpf", "tun"),
}, { requiredKeys: ["publicIp", "backendType"] });

Deno.test("what is written reads back the same", () => {
  fc.assert(fc.property(attributesArbitrary, (attributes) => {
    assertEquals(decodeLeaseValue(encodeLeaseValue(attributes)), {
      ok: true,
      value: attributes,
    });
  }));
});

Deno.test("no text at all makes the reader throw", () => {
  const valid = '{"PublicIP":"198.51.100.1","PublicIPv6":null}';
  const mutated = fc.tuple(
    fc.integer({ min: 0, max: valid.length }),
    fc.integer({ min: 0, max: 3 }),
    fc.string({ maxLength: 3, unit: "binary" }),
  ).map(([at, cut, insert]) =>
    valid.slice(0, at) + insert + valid.slice(at + cut)
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.json(), mutated),
      (text) => {
        const decoded = decodeLeaseValue(text);
        assert(decoded.ok || decoded.reason !== "");
        parseLeaseName(text);
      },
    ),
    { numRuns: FUZZ_CASES },
  );
});
