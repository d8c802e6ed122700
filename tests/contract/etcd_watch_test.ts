import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  KEEPALIVE_LIMIT_MS,
  KEEPALIVE_PAUSE_MS,
} from "../../lease/liveness/answer_times.ts";
import type { LeaseRegistry } from "../../lease/registry.ts";
import { systemClock } from "../../linux/clock.ts";
import { startEtcd } from "../support/etcd.ts";
import {
  BUSY_MS,
  DEADLINE_MS,
  errorOf,
  eventually,
  openRegistry,
} from "../support/registry_calls.ts";
import { Relay } from "../support/relay.ts";

const never = new AbortController().signal;

Deno.test("etcd registry: a watch ends when etcd dies, and all is well after its return", async () => {
  await using etcd = await startEtcd();
  const registry = openRegistry({ endpoints: [etcd.endpoint] });
  const { revision } = await registry.list(never);
  const broken = errorOf(firstEvent(registry, revision));
  await systemClock.sleep(100);
  await etcd.kill();
  const error = await broken;
  assert(["refused", "unreachable"].includes(error.fault), error.message);
  // Long enough for a back-off that grows without a limit to show.
  const until = performance.now() + 4_000;
  while (performance.now() < until) {
    await errorOf(registry.list(never));
    await systemClock.sleep(100);
  }
  await etcd.start();
  await eventually(() => registry.list(never));
  registry.close();
});

Deno.test("etcd registry: a call to a stopped etcd ends in time and can be aborted; its return is noticed", async () => {
  await using etcd = await startEtcd();
  const registry = openRegistry({ endpoints: [etcd.endpoint] });
  await registry.list(never);
  etcd.pause();
  const before = performance.now();
  assertEquals((await errorOf(registry.list(never))).fault, "deadline");
  assert(performance.now() - before < DEADLINE_MS + BUSY_MS);
  const aborted = AbortSignal.timeout(100);
  const caught = await registry.list(aborted).catch((error) => error);
  assertEquals(caught, aborted.reason);
  etcd.resume();
  await eventually(() => registry.list(never));
  registry.close();
});

Deno.test("etcd registry: a watch on which nothing happens stays open while etcd answers", async () => {
  await using etcd = await startEtcd();
  const registry = openRegistry({ endpoints: [etcd.endpoint] });
  const { revision } = await registry.list(never);
  const leave = new AbortController();
  const watch = firstEvent(registry, revision, leave.signal);
  const ended = watch.then(() => "an event", (error) => `${error}`);
  const waited = systemClock.sleep(KEEPALIVE_PAUSE_MS + KEEPALIVE_LIMIT_MS)
    .then(() => "still open");
  assertEquals(await Promise.race([ended, waited]), "still open");
  leave.abort(new Error("enough"));
  assertEquals(await ended, "Error: enough");
  registry.close();
});

Deno.test("etcd registry: a connection that goes dead under a watch is given up, and another one made", async () => {
  await using etcd = await startEtcd();
  await using relay = new Relay(Number(new URL(etcd.endpoint).port));
  const registry = openRegistry({
    endpoints: [`http://127.0.0.1:${relay.port}`],
  });
  const { revision } = await registry.list(never);
  const watch = errorOf(firstEvent(registry, revision));
  await systemClock.sleep(500);
  // Its connections stay open, and nothing comes out of them any more.
  relay.silence();
  const { fault } = await watch;
  assert(fault === "unreachable" || fault === "deadline", fault);
  await eventually(() => registry.list(never));
  registry.close();
});

Deno.test("etcd registry: a process with an open watch ends after close", async () => {
  await using etcd = await startEtcd();
  const program = `
    import { EtcdLeaseRegistry } from "./lease/etcd_registry.ts";
    const registry = new EtcdLeaseRegistry({
      endpoints: ["${etcd.endpoint}"], prefix: "/p" });
    const never = new AbortController().signal;
    const { revision } = await registry.list(never);
    const watch = registry.watch(revision, never)[Symbol.asyncIterator]();
    watch.next().catch((error) => console.log(error.message));
    setTimeout(() => { registry.close(); console.log("closed"); }, 300);
  `;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "-"],
    cwd: new URL("../..", import.meta.url),
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = process.stdin.getWriter();
  await input.write(new TextEncoder().encode(program));
  await input.close();
  const before = performance.now();
  const { code, stdout } = await process.output();
  assertEquals(code, 0);
  assertStringIncludes(new TextDecoder().decode(stdout), "closed");
  const tookMs = performance.now() - before;
  assert(tookMs < BUSY_MS, `it took ${tookMs} ms`);
});

async function firstEvent(
  registry: LeaseRegistry,
  revision: string,
  signal: AbortSignal = never,
): Promise<void> {
  for await (const _ of registry.watch(revision, signal)) return;
}
