import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BadStateError,
  decodeState,
  type DurableState,
  encodeState,
} from "../../../../lease/saved/state_codec.ts";
import { cidrOf, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";

const STATE: DurableState = {
  hostId: "00112233445566778899aabbccddeeff",
  underlayMac: "02:00:00:00:00:01",
  configText: '{ "Network": "10.1.0.0/16" }',
  lease: {
    subnet: parseCidr("10.1.5.0/24")!,
    publicIp: parseIpv4("198.51.100.1")!,
    expiresAtMs: Date.UTC(2026, 0, 2),
  },
  peers: [{
    subnet: parseCidr("10.1.6.0/24")!,
    publicIp: parseIpv4("198.51.100.2")!,
    backendType: "udp",
    dataPath: "ebpf",
    stale: false,
  }, {
    subnet: parseCidr("10.1.7.0/24")!,
    publicIp: parseIpv4("198.51.100.3")!,
    backendType: "vxlan",
    backendData: { VtepMAC: "22:3d:a5:7d:cb:62" },
    stale: true,
    vanishedAtMs: Date.UTC(2026, 0, 1),
  }],
};

Deno.test("the saved state is readable JSON with a version", () => {
  const json = JSON.parse(encodeState(STATE));
  assertEquals(json.version, 1);
  assertEquals(json.lease, {
    subnet: "10.1.5.0/24",
    publicIp: "198.51.100.1",
    expires: "2026-01-02T00:00:00.000Z",
  });
  assertEquals(json.peers[1].vanished, "2026-01-01T00:00:00.000Z");
});

Deno.test("what is saved reads back the same", () => {
  assertEquals(decodeState(encodeState(STATE)), STATE);
  const bare: DurableState = {
    hostId: STATE.hostId,
    underlayMac: "",
    peers: [],
  };
  assertEquals(decodeState(encodeState(bare)), bare);
});

Deno.test("any peers read back the same", () => {
  const peer = fc.record({
    subnet: fc.tuple(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: 0, max: 32 }),
    ).map(([address, length]) => cidrOf(toIpv4(address), length)),
    publicIp: fc.integer({ min: 0, max: 0xffffffff }).map(toIpv4),
    backendType: fc.string(),
    stale: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(peer), (peers) => {
    const state = { ...STATE, peers };
    assertEquals(decodeState(encodeState(state)), state);
  }));
});

const good = JSON.parse(encodeState(STATE));
const BAD: [string, unknown][] = [
  ["a list", []],
  ["a number", 7],
  ["no version", { ...good, version: undefined }],
  ["a later version", { ...good, version: 2 }],
  ["no host id", { ...good, hostId: undefined }],
  ["a short host id", { ...good, hostId: "abc" }],
  ["a host id that is a path", { ...good, hostId: "../../etc/passwd" }],
  ["no MAC", { ...good, underlayMac: undefined }],
  ["a config that is no text", { ...good, config: {} }],
  ["a lease that is no object", { ...good, lease: 7 }],
  ["a lease without a subnet", { ...good, lease: { publicIp: "1.2.3.4" } }],
  ["a bad time", { ...good, lease: { ...good.lease, expires: "soon" } }],
  ["no peers", { ...good, peers: undefined }],
  ["peers that are no list", { ...good, peers: {} }],
  ["a peer that is no object", { ...good, peers: [null] }],
  ["a peer with a bad subnet", {
    ...good,
    peers: [{ ...good.peers[0], subnet: "10.1.6.0/33" }],
  }],
  ["a peer with a bad address", {
    ...good,
    peers: [{ ...good.peers[0], publicIp: "nowhere" }],
  }],
];

for (const [what, value] of BAD) {
  Deno.test(`a state with ${what} is refused`, () => {
    assertThrows(() => decodeState(JSON.stringify(value)), BadStateError);
  });
}

Deno.test("text that is no JSON is refused", () => {
  for (const text of ["", "{", "garbage", encodeState(STATE).slice(0, 100)]) {
    const { code } = assertThrows(
      () => decodeState(text),
      BadStateError,
      "must be JSON",
    );
    assertEquals(code, "state.invalid");
  }
});
