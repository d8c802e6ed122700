import { assertEquals } from "@std/assert";
import {
  planListeners,
  reaches,
  routesUrl,
} from "../../../../agent/status/listener_plan.ts";

const DEFAULTS = {
  healthzIp: "0.0.0.0",
  healthzPort: undefined,
  metricsIp: "127.0.0.1",
  metricsPort: undefined,
};

Deno.test("nothing is served unless a port is set", () => {
  assertEquals(planListeners(DEFAULTS), []);
  assertEquals(routesUrl(DEFAULTS), undefined);
});

Deno.test("one listener serves both on flannel's port, the routes on loopback", () => {
  assertEquals(planListeners({ ...DEFAULTS, healthzPort: 8471 }), [{
    hostname: "0.0.0.0",
    port: 8471,
    healthAt: "0.0.0.0",
    routesAt: "127.0.0.1",
  }]);
});

Deno.test("the metrics' port serves the routes alone, also without a health server", () => {
  const routes = { hostname: "127.0.0.1", port: 9285, routesAt: "127.0.0.1" };
  assertEquals(planListeners({ ...DEFAULTS, metricsPort: 9285 }), [routes]);
  assertEquals(
    planListeners({ ...DEFAULTS, healthzPort: 8471, metricsPort: 9285 }),
    [{ hostname: "0.0.0.0", port: 8471, healthAt: "0.0.0.0" }, routes],
  );
});

Deno.test("two addresses on one port are two listeners, unless one covers the other", () => {
  const plan = (healthzIp: string, metricsIp: string) =>
    planListeners({ ...DEFAULTS, healthzIp, metricsIp, healthzPort: 1 })
      .map(({ hostname }) => hostname);
  assertEquals(plan("192.0.2.1", "127.0.0.1"), ["192.0.2.1", "127.0.0.1"]);
  assertEquals(plan("127.0.0.1", "127.0.0.1"), ["127.0.0.1"]);
  assertEquals(plan("127.0.0.1", "0.0.0.0"), ["0.0.0.0"]);
  assertEquals(plan("::", "127.0.0.1"), ["::"]);
  assertEquals(plan("0.0.0.0", "::1"), ["0.0.0.0", "::1"]);
});

Deno.test("a listener for all addresses answers at those of the settings", () => {
  const reached = (at: string, local: string, remote = local) =>
    reaches(at, { local, remote });
  assertEquals(reached("0.0.0.0", "192.0.2.1"), true);
  assertEquals(reached("192.0.2.1", "192.0.2.1", "192.0.2.9"), true);
  assertEquals(reached("192.0.2.1", "192.0.2.2", "192.0.2.9"), false);
  assertEquals(reached("127.0.0.1", "192.0.2.1"), false);
  assertEquals(reached("127.0.0.1", "::ffff:127.0.0.1"), true);
  assertEquals(reached("127.0.0.1", "::1"), true);
  assertEquals(reached("2001:db8:0::1", "2001:db8::1"), true);
});

Deno.test("a host that reaches loopback by a route of its own is refused", () => {
  const ends = { local: "127.0.0.1", remote: "192.0.2.9" };
  assertEquals(reaches("127.0.0.1", ends), false);
});

Deno.test("the routes have an address for this host's programs", () => {
  const url = (metricsIp: string) =>
    routesUrl({ ...DEFAULTS, metricsIp, metricsPort: 9285 });
  assertEquals(url("127.0.0.1"), "http://127.0.0.1:9285");
  assertEquals(url("0.0.0.0"), "http://127.0.0.1:9285");
  assertEquals(url("::"), "http://[::1]:9285");
  assertEquals(url("192.0.2.1"), "http://192.0.2.1:9285");
});
