import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { wantedFeatures } from "../../../../../backend/udp/features.ts";
import {
  TunDataPath,
  type TunDataPathOptions,
} from "../../../../../backend/udp/tun/tun_data_path.ts";
import { BackendFailedError } from "../../../../../backend/errors.ts";
import { libc } from "../../../../../linux/libc.ts";
import { openEventDescriptor } from "../../../../../linux/poll.ts";
import { parseCidr } from "../../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../../net/ipv4.ts";
import { CapturedLogs } from "../../../../support/capture_logs.ts";

const never = new AbortController().signal;

/** A data path whose worker is another one; its descriptors are no device's. */
function options(worker: string): TunDataPathOptions {
  return {
    network: parseCidr("10.1.0.0/16")!,
    subnet: parseCidr("10.1.5.0/24")!,
    senderCheck: "strict",
    checksInterface: true,
    mtuBytes: 1472,
    udpPort: 8285,
    features: wantedFeatures([]),
    tun: {
      name: "flannel0",
      descriptor: openEventDescriptor(),
      tcpOffload: true,
      udpOffload: true,
    },
    socket: { descriptor: openEventDescriptor(), segment: true, gro: true },
    workerCode: new URL(
      `../../../../fakes/workers/${worker}.ts`,
      import.meta.url,
    ),
  };
}

function isOpen(descriptor: number): boolean {
  try {
    Deno.readLinkSync(`/proc/self/fd/${descriptor}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What a worker that is let go of may still use stays open; then it is closed. */
function assertLeftOpen({ tun, socket }: TunDataPathOptions): void {
  for (const { descriptor } of [tun, socket]) {
    assert(isOpen(descriptor), "a worker may come back and use its number");
    libc().close(descriptor);
  }
}

Deno.test("a worker that hangs does not keep the stop, and its descriptors stay open", async () => {
  using logs = new CapturedLogs();
  const given = options("hung_worker");
  const path = await TunDataPath.start(given, never);
  await path.stop();
  assertEquals(
    logs.events("backend.worker-stuck").map(({ device }) => device),
    ["flannel0"],
  );
  await path.failed;
  assertLeftOpen(given);
});

Deno.test("peers that a hung worker does not take are a failure of the data path", async () => {
  using _logs = new CapturedLogs();
  const given = options("hung_worker");
  const path = await TunDataPath.start(given, never);
  const peer = {
    subnet: parseCidr("10.1.6.0/24")!,
    publicIp: parseIpv4("192.0.2.12")!,
    backendType: "udp",
    stale: false,
  };
  const error = await path.changePeers({
    added: [peer],
    changed: [],
    removed: [],
  })
    .then(() => undefined, (error) => error);
  assert(error instanceof BackendFailedError);
  assertStringIncludes(error.message, "did not take new peers");
  await path.stop();
  assertLeftOpen(given);
});

Deno.test("a worker that never starts is given up, with the reason", async () => {
  using logs = new CapturedLogs();
  const given = options("silent_worker");
  const error = await TunDataPath.start(given, never)
    .then(() => undefined, (error) => error);
  assert(error instanceof BackendFailedError);
  assertStringIncludes(error.message, "its worker did not start within 10 s");
  assertEquals(logs.events("backend.worker-stuck").length, 1);
  assertLeftOpen(given);
});

Deno.test("an aborted wait for a worker rejects with the signal's reason", async () => {
  using _logs = new CapturedLogs();
  const given = options("silent_worker");
  const reason = new Error("the agent stops");
  const error = await TunDataPath.start(given, AbortSignal.abort(reason))
    .then(() => undefined, (error) => error);
  assertEquals(error, reason);
  assertLeftOpen(given);
});

Deno.test("a busy worker gets a helper where there is a processor for it, and none on two", async () => {
  using _logs = new CapturedLogs();
  const three = await TunDataPath.start(
    { ...options("busy_worker"), processors: 3 },
    never,
  );
  const error = await three.failed.then(() => undefined, (error) => error);
  assert(error instanceof BackendFailedError);
  assertStringIncludes(error.message, "here is the helper");
  await three.stop();

  const two = await TunDataPath.start(
    { ...options("busy_worker"), processors: 2 },
    never,
  );
  // The helper that must not come would have failed by then.
  await delay(200);
  await two.stop();
  await two.failed;
});
