import { assert, assertEquals } from "@std/assert";
import {
  getDeviceRequest,
  parseDevice,
  setDeviceRequests,
} from "../../../../linux/netlink/wireguard_messages.ts";
import { cidrOf, formatCidr, parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4, toIpv4 } from "../../../../net/ipv4.ts";
import { fromHex, toHex } from "./hex.ts";

const FAMILY = 0x1d;
const KEY = new Uint8Array(32).fill(0x11);
const OTHER = new Uint8Array(32).fill(0x22);
const PSK = new Uint8Array(32).fill(0x33);
const hex = (bytes: Uint8Array) => toHex(bytes);
/** Thirty-two times one byte. */
const times32 = (byte: string) => Array(32).fill(byte).join(" ");

Deno.test("a device is asked for by its index", () => {
  const { flags, payload, type } = getDeviceRequest(FAMILY, 7);
  assertEquals([type, flags], [FAMILY, 0]);
  assertEquals(hex(payload), "00 01 00 00 08 00 01 00 07 00 00 00");
});

Deno.test("key, port and peer are set by the kernel's layout", () => {
  const [request, ...more] = setDeviceRequests(FAMILY, 7, {
    privateKey: KEY,
    listenPort: 51820,
    removePeers: [OTHER.toBase64()],
    putPeers: [{
      publicKey: KEY.toBase64(),
      presharedKey: PSK,
      endpoint: { address: parseIpv4("192.0.2.12")!, port: 51821 },
      keepaliveSeconds: 25,
      allowedIps: [parseCidr("10.1.5.0/24")!],
    }],
  });
  assertEquals([request!.type, more.length], [FAMILY, 0]);
  assertEquals(
    hex(request!.payload),
    [
      "01 01 00 00", // WG_CMD_SET_DEVICE, version 1
      "08 00 01 00 07 00 00 00", // IFINDEX
      `24 00 03 00 ${times32("11")}`, // PRIVATE_KEY
      "06 00 06 00 6c ca 00 00", // LISTEN_PORT, host order
      "c4 00 08 80", // PEERS
      `30 00 00 80 24 00 01 00 ${times32("22")}`, // PUBLIC_KEY
      "08 00 03 00 01 00 00 00", // FLAGS: REMOVE_ME
      `90 00 00 80 24 00 01 00 ${times32("11")}`,
      `24 00 02 00 ${times32("33")}`, // PRESHARED_KEY
      "08 00 03 00 02 00 00 00", // FLAGS: REPLACE_ALLOWEDIPS
      "14 00 04 00 02 00 ca 6d c0 00 02 0c 00 00 00 00 00 00 00 00", // ENDPOINT
      "06 00 05 00 19 00 00 00", // PERSISTENT_KEEPALIVE_INTERVAL
      "20 00 09 80", // ALLOWEDIPS
      "1c 00 00 80 06 00 01 00 02 00 00 00", // FAMILY: AF_INET
      "08 00 02 00 0a 01 05 00", // IPADDR
      "05 00 03 00 18 00 00 00", // CIDR_MASK
    ].join(" "),
  );
});

Deno.test("what a change does not name is not sent", () => {
  const publicKey = KEY.toBase64();
  const [request] = setDeviceRequests(FAMILY, 7, { putPeers: [{ publicKey }] });
  assertEquals(
    hex(request!.payload),
    "01 01 00 00 08 00 01 00 07 00 00 00 " +
      `2c 00 08 80 28 00 00 80 24 00 01 00 ${times32("11")}`,
  );
});

Deno.test("thousands of peers and of addresses are sent in messages that fit", () => {
  const allowedIps = Array.from(
    { length: 5_000 },
    (_, number) => cidrOf(toIpv4(0x0b000000 + number * 256), 24),
  );
  const putPeers = Array.from({ length: 1_000 }, (_, number) => {
    const key = new Uint8Array(32);
    new DataView(key.buffer).setUint32(0, number + 1);
    return {
      publicKey: key.toBase64(),
      allowedIps: number === 500 ? allowedIps : [allowedIps[number]!],
    };
  });
  const requests = setDeviceRequests(FAMILY, 7, {
    privateKey: KEY,
    listenPort: 1,
    putPeers,
  });
  assert(requests.length > 5, `${requests.length} messages`);
  for (const { payload } of requests) assert(payload.length < 65_000);
  // The kernel's answer has the same layout as what it is told, but for commands.
  const { peers, publicKey } = parseDevice(
    requests.map(({ payload }) => payload),
  );
  assertEquals(publicKey, undefined);
  assertEquals(
    peers.map(({ publicKey, allowedIps }) => [
      publicKey,
      allowedIps.map(formatCidr),
    ]),
    putPeers.map(({ publicKey, allowedIps }) => [
      publicKey,
      allowedIps.map(formatCidr),
    ]),
  );
  // The key and the port are set once.
  const withKey = requests.filter(({ payload }) =>
    hex(payload).includes(`24 00 03 00 ${times32("11")}`)
  );
  assertEquals(withKey.length, 1);
});

Deno.test("a device is read from several messages, without its private key", () => {
  const first = fromHex([
    "00 01 00 00",
    "06 00 06 00 6c ca 00 00",
    "08 00 07 00 00 00 00 00",
    `24 00 03 00 ${times32("44")}`,
    `24 00 04 00 ${times32("55")}`,
    "b8 00 08 80",
    `b4 00 00 80 24 00 01 00 ${times32("11")}`,
    `24 00 02 00 ${times32("00")}`,
    "14 00 06 00 01 00 00 00 00 00 00 00 00 65 cd 1d 00 00 00 00",
    "06 00 05 00 19 00 00 00",
    "0c 00 08 00 05 00 00 00 00 00 00 00",
    "0c 00 07 00 06 00 00 00 00 00 00 00",
    "14 00 04 00 02 00 ca 6d c0 00 02 0c 00 00 00 00 00 00 00 00",
    "20 00 09 80",
    "1c 00 00 80 05 00 03 00 18 00 00 00 06 00 01 00 02 00 00 00",
    "08 00 02 00 0a 01 05 00",
  ].join(" "));
  const second = fromHex([
    "00 01 00 00",
    "54 00 08 80",
    `50 00 00 80 24 00 01 00 ${times32("11")}`,
    "28 00 09 80",
    "24 00 00 80 05 00 03 00 40 00 00 00 06 00 01 00 0a 00 00 00",
    "10 00 02 00 fd 00 00 00 00 00 00 00 00 00 00 00",
  ].join(" "));
  const device = parseDevice([first, second]);
  assertEquals(device, {
    publicKey: new Uint8Array(32).fill(0x55).toBase64(),
    listenPort: 51820,
    peers: [{
      publicKey: KEY.toBase64(),
      presharedKey: undefined,
      endpoint: { address: parseIpv4("192.0.2.12")!, port: 51821 },
      keepaliveSeconds: 25,
      allowedIps: [parseCidr("10.1.5.0/24")!],
      allowedIpv6: 1,
      lastHandshakeMs: 1_500,
      rxBytes: 6,
      txBytes: 5,
    }],
  });
});
