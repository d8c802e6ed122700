/**
 * What every backend promises, whatever carries its packets.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import type { Backend, BackendContext } from "../../backend/backend.ts";
import { backendOf } from "../../backend/backends.ts";
import type { BackendOptions } from "../../backend/backend_descriptor.ts";
import { decodeLeaseValue, encodeLeaseValue } from "../../lease/lease_codec.ts";
import { formatCidr } from "../../net/cidr.ts";
import { formatIpv4, parseIpv4 } from "../../net/ipv4.ts";
import type { Peer, PeerDiff } from "../../net/peer.ts";

/** A host on which backends of one type run, one after the other. */
export interface BackendWorld extends AsyncDisposable {
  readonly context: BackendContext;
  /** As the network config has them, with their defaults. */
  readonly options: BackendOptions;
  /** One that is not started. */
  create(): Backend;
  /** Three peers with usable values, in the order of their subnets. */
  readonly peers: readonly [Peer, Peer, Peer];
  /** A peer whose value cannot be used; absent where every value will do. */
  readonly badPeer?: Peer;
  /**
   * What the host does with packets for peers, in the order of the subnets: lines
   * `10.1.5.0/24 192.0.2.12`. Absent where it cannot be seen from outside.
   */
  readonly programmed?: () => string[];
  /** Names of the host's devices. */
  devices(): string[];
  /** Does what `loden cleanup` does. */
  cleanUp(): Promise<void>;
  /** Devices, routes and programs that are left of the backend. */
  leftovers(): string[];
}

const never = new AbortController().signal;
/** A backend may program its peers in the background. */
const PATIENCE_MS = 10_000;

/** Registers the tests; each has a host of its own. */
export function backendContract(
  name: string,
  type: string,
  open: () => Promise<BackendWorld>,
): void {
  const test = (what: string, run: (world: BackendWorld) => Promise<void>) =>
    Deno.test(`${name} ${what}`, async () => {
      await using world = await open();
      await run(world);
    });

  test("advertises a value that a lease can carry, before its start and after it", async (world) => {
    const backend = world.create();
    await backend.prepare?.(never);
    const before = backend.advertise();
    assertEquals(before.backendType, type);
    await backend.start(world.context, never);
    const { dataPath, ...after } = backend.advertise();
    assertEquals(after, before);
    const { publicIp } = world.context.underlay;
    const text = encodeLeaseValue({ publicIp, ...before });
    const decoded = decodeLeaseValue(text);
    if (!decoded.ok) throw new Error(decoded.reason);
    assertEquals(decoded.value.backendData, before.backendData);
    assert(dataPath === undefined || type === "udp");
    await backend.stop();
  });

  test("has the MTU and the device that the rest of Loden expects", async (world) => {
    const descriptor = backendOf(type);
    const backend = world.create();
    const { deviceName, mtuBytes } = await backend.start(world.context, never);
    const { underlay } = world.context;
    assertEquals(
      Number(mtuBytes),
      descriptor.overlayMtuBytes(world.options, underlay.mtuBytes),
    );
    const expected = descriptor.deviceName(world.options, "flannel%d");
    assertEquals(deviceName, expected?.replace("%d", "0"));
    if (deviceName !== undefined) assert(world.devices().includes(deviceName));
    assertEquals(backend.status().device, deviceName);
    await backend.stop();
  });

  test("says nothing of peers and packets before it is started", (world) => {
    const backend = world.create();
    assertEquals(backend.type, type);
    assertEquals(backend.status().peers, 0);
    assertEquals(backend.underlayUse?.(), undefined);
    return backend.stop();
  });

  test("is not started by a start that is aborted already", async (world) => {
    const backend = world.create();
    const reason = new DOMException("stopping", "AbortError");
    await assertRejects(
      () => backend.start(world.context, AbortSignal.abort(reason)),
      DOMException,
    );
    await backend.stop();
    assertEquals(world.leftovers(), []);
  });

  test("follows peers that come, change and go", async (world) => {
    const [first, second, third] = world.peers;
    const backend = world.create();
    await backend.start(world.context, never);
    const shows = async (...peers: Peer[]) => {
      await untilProgrammed(world, peers);
      assertEquals(backend.status().peers, peers.length);
    };
    await backend.apply({ ...NOTHING, added: [first, second] });
    await shows(first, second);
    const moved = { ...second, publicIp: parseIpv4("192.0.2.77")! };
    await backend.apply({ added: [third], changed: [moved], removed: [first] });
    await shows(moved, third);
    await backend.apply({ ...NOTHING, changed: [{ ...moved, stale: true }] });
    await shows(moved, third);
    await backend.apply({ ...NOTHING, removed: [moved, third] });
    await shows();
    await backend.stop();
  });

  test("serves the others where a peer's value cannot be used, and names that one", async (world) => {
    const { badPeer, peers: [first, second] } = world;
    if (badPeer === undefined) return;
    const backend = world.create();
    await backend.start(world.context, never);
    await backend.apply({ ...NOTHING, added: [first, badPeer, second] });
    await untilProgrammed(world, [first, second]);
    const { details = {} } = backend.status();
    assert(`not served: ${formatCidr(badPeer.subnet)}` in details);
    // It is written again, as it must be.
    const repaired = { ...badPeer, backendData: world.peers[2].backendData };
    await backend.apply({ ...NOTHING, changed: [repaired] });
    await untilProgrammed(world, [first, second, repaired]);
    assertEquals(
      Object.keys(backend.status().details ?? {})
        .filter((key) => key.startsWith("not served")),
      [],
    );
    await backend.stop();
  });

  test("ends without a failure, and leaves what carries packets without it", async (world) => {
    const backend = world.create();
    await backend.start(world.context, never);
    await backend.apply({ ...NOTHING, added: world.peers });
    await untilProgrammed(world, world.peers);
    const { outlivesAgent } = backend.status();
    await backend.stop();
    await backend.failed;
    if (outlivesAgent) await untilProgrammed(world, world.peers);
  });

  test("finds again what an earlier run left, and removes what is no longer wanted with the first peers", async (world) => {
    const [first, second, third] = world.peers;
    const earlier = world.create();
    await earlier.start(world.context, never);
    await earlier.apply({ ...NOTHING, added: [first, second] });
    await untilProgrammed(world, [first, second]);
    const { outlivesAgent } = earlier.status();
    const advertised = earlier.advertise();
    await earlier.stop();
    const later = world.create();
    await later.start(world.context, never);
    assertEquals(later.advertise(), advertised);
    // The peers are not known yet: no packet is lost meanwhile.
    if (outlivesAgent) await untilProgrammed(world, [first, second]);
    await later.apply({ ...NOTHING, added: [second, third] });
    // Commands of the network config cannot know of the earlier run.
    if (type !== "extension") await untilProgrammed(world, [second, third]);
    assertEquals(later.status().peers, 2);
    await later.stop();
  });

  test("is removed by a cleanup, which leaves nothing", async (world) => {
    const backend = world.create();
    await backend.start(world.context, never);
    await backend.apply({ ...NOTHING, added: world.peers });
    await backend.stop();
    await world.cleanUp();
    assertEquals(world.leftovers(), []);
  });
}

const NOTHING: PeerDiff = { added: [], changed: [], removed: [] };

async function untilProgrammed(
  { programmed }: BackendWorld,
  peers: readonly Peer[],
): Promise<void> {
  if (programmed === undefined) return;
  const wanted = peers.map(({ publicIp, subnet }) =>
    `${formatCidr(subnet)} ${formatIpv4(publicIp)}`
  ).sort();
  const deadline = performance.now() + PATIENCE_MS;
  while (
    JSON.stringify(programmed()) !== JSON.stringify(wanted) &&
    performance.now() < deadline
  ) await delay(10);
  assertEquals(programmed(), wanted);
}
