import { assertEquals, assertThrows } from "@std/assert";
import {
  Health,
  isShown,
  warningDefinitions,
} from "../../../../agent/status/health.ts";
import {
  answerHealth,
  HealthServer,
  HealthServerError,
} from "../../../../agent/status/health_server.ts";
import { AgentState } from "../../../../agent/status/state.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";

function agentState(): AgentState {
  return new AgentState({
    version: "0.1.0",
    pid: 1,
    instance: "a",
    etcdPrefix: "/a",
    etcdEndpoints: [],
  }, new FakeClock());
}

function answer(path: string, state: AgentState) {
  const { status, body } = answerHealth(path, state);
  return [status, body];
}

Deno.test("a warning is news once, keeps its beginning, and errors come first", async () => {
  const clock = new FakeClock(1_000);
  const health = new Health(clock);
  assertEquals(health.raise("etcd.unavailable", "refused"), true);
  await clock.advance(5_000);
  assertEquals(health.raise("etcd.unavailable", "refused"), false);
  assertEquals(health.raise("etcd.unavailable", "deadline"), true);
  health.raise("data-path.down", "flannel0 was deleted");
  assertEquals(health.warnings().map(({ code, sinceMs }) => [code, sinceMs]), [
    ["data-path.down", 6_000],
    ["etcd.unavailable", 1_000],
  ]);
  assertEquals(health.clear("data-path.down"), true);
  assertEquals(health.clear("data-path.down"), false);
});

Deno.test("a consequence is not shown while its cause is raised, and is again afterwards", () => {
  const health = new Health(new FakeClock());
  health.raise("firewall.anti-spoofing-missing", "no tool");
  health.raise("firewall.missing", "no tool");
  assertEquals(shown(health), ["firewall.missing"]);
  assertEquals(health.warnings().map(({ dependsOn }) => dependsOn), [
    [],
    ["firewall.missing"],
  ]);
  health.clear("firewall.missing");
  assertEquals(shown(health), ["firewall.anti-spoofing-missing"]);
});

Deno.test("a cause is at least as severe as its consequence and has no cause, so that the worst is always shown", () => {
  for (
    const [code, { dependsOn, severity }] of Object.entries(warningDefinitions)
  ) {
    for (const cause of dependsOn) {
      assertEquals(warningDefinitions[cause].dependsOn, [], code);
      if (severity === "error") {
        assertEquals(warningDefinitions[cause].severity, "error", code);
      }
    }
  }
});

Deno.test("a warning that comes and goes with etcd is shown once it lasts, whatever the wall clock does", async () => {
  const clock = new FakeClock();
  const health = new Health(clock);
  health.raise("etcd.unavailable", "refused");
  await clock.advance(3_000);
  clock.jumpWallClock(3_600_000);
  health.raise("etcd.unavailable", "deadline");
  assertEquals(shown(health), []);
  assertEquals(health.msUntilVisible(), 2_000);
  await clock.advance(2_000);
  assertEquals(shown(health), ["etcd.unavailable"]);
  assertEquals(health.msUntilVisible(), undefined);
});

function shown(health: Health): string[] {
  return health.warnings().filter(isShown).map(({ code }) => code);
}

Deno.test("health answers are flannel's", () => {
  const state = agentState();
  assertEquals(answer("/healthz", state), [200, "flanneld is running"]);
  assertEquals(answer("/readyz", state), [
    503,
    "flanneld is not ready yet",
  ]);
  state.set({ ready: true });
  assertEquals(answer("/readyz", state), [200, "flanneld is ready"]);
  assertEquals(answer("/", state)[0], 404);
});

Deno.test("/readyz fails while policies keep the fast data path away, and says so", () => {
  const state = agentState();
  state.set({ ready: true });
  state.raise("firewall.forward-missing", "no tool");
  assertEquals(answer("/readyz", state)[0], 200);
  state.raise("data-path.ipsec", "2 policies");
  assertEquals(answer("/readyz", state), [503, "2 policies"]);
  assertEquals(answer("/healthz", state)[0], 200);
  state.clear("data-path.ipsec");
  assertEquals(answer("/readyz", state)[0], 200);
});

Deno.test("/healthz fails for what a restart may cure, and not for etcd", () => {
  const state = agentState();
  state.raise("etcd.unavailable", "etcd is away");
  assertEquals(answer("/healthz", state)[0], 200);
  state.raise("data-path.down", "flannel0 was deleted");
  assertEquals(answer("/healthz", state), [503, "flannel0 was deleted"]);
  state.clear("data-path.down");
  assertEquals(answer("/healthz", state)[0], 200);
});

Deno.test("the health server answers over TCP, and says which port is in use", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const plan = { hostname: "127.0.0.1", port, healthAt: "127.0.0.1" };
  const components = {
    state: agentState(),
    routes: new Map(),
    hostname: () => "node1",
  };
  assertThrows(
    () => HealthServer.start(plan, components),
    HealthServerError,
    `Cannot serve /healthz on 127.0.0.1:${port}`,
  );
  assertThrows(
    () =>
      HealthServer.start(
        { hostname: "127.0.0.1", port, routesAt: "127.0.0.1" },
        components,
      ),
    HealthServerError,
    `Cannot serve /metrics on 127.0.0.1:${port}`,
  );
  listener.close();
  const server = HealthServer.start(plan, components);
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
    method: "POST",
  });
  assertEquals(await response.text(), "flanneld is running");
  await server.stop();
});
