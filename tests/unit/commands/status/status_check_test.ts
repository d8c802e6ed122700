import { assertEquals } from "@std/assert";
import {
  AgentAccessError,
  AgentNotRunningError,
  AgentSilentError,
} from "../../../../agent/errors.ts";
import type { WarningCode } from "../../../../agent/status/health.ts";
import type { StatusSnapshot } from "../../../../agent/status/status_snapshot.ts";
import { check } from "../../../../commands/status/status_check.ts";
import { bringUp, newAgentState } from "../../../support/agent_state.ts";

function up(warnings: Partial<Record<WarningCode, string>> = {}) {
  const state = bringUp(newAgentState());
  for (const [code, text] of Object.entries(warnings)) {
    state.raise(code as WarningCode, text);
  }
  return { status: state.snapshot() };
}

function starting(): { status: StatusSnapshot } {
  const state = newAgentState();
  state.enter("reading-config");
  state.waitFor("config", "etcd is away");
  return { status: state.snapshot() };
}

Deno.test("live fails for what a restart may cure and for no other fault", () => {
  assertEquals(check("live", up()), {
    code: 0,
    line: "live: 10.1.5.0/24, 1 peer, udp (tun)",
  });
  assertEquals(check("live", starting()).code, 0);
  assertEquals(check("live", up({ "config.refused": "no" })).code, 0);
  assertEquals(check("live", up({ "data-path.down": "it is gone" })), {
    code: 1,
    line: "not live: it is gone",
  });
});

Deno.test("ready fails before READY, and for what /healthz and /readyz fail", () => {
  assertEquals(check("ready", up()).code, 0);
  assertEquals(check("ready", up({ "config.refused": "no" })).code, 0);
  assertEquals(check("ready", starting()), {
    code: 1,
    line: "not ready: reading config: waiting: etcd is away",
  });
  assertEquals(
    check("ready", up({ "data-path.ipsec": "a", "data-path.down": "b" })),
    { code: 1, line: "not ready: b; a" },
  );
});

Deno.test("Nagios gets its codes, and no bar and no control character in the line", () => {
  const codeOf = (...warnings: Parameters<typeof up>) =>
    check("nagios", up(...warnings)).code;
  assertEquals(codeOf(), 0);
  assertEquals(codeOf({ "config.refused": "" }), 1);
  assertEquals(codeOf({ "config.refused": "", "data-path.down": "" }), 2);
  // It has not lasted yet.
  assertEquals(codeOf({ "etcd.unavailable": "" }), 0);
  assertEquals(check("nagios", starting()), {
    code: 2,
    line: "LODEN CRITICAL - reading config: waiting: etcd is away",
  });
  assertEquals(
    check("nagios", up({ "config.refused": "ss | grep \x1b[1m" })).line,
    "LODEN WARNING - 10.1.5.0/24, 1 peer, udp (tun); ss / grep  [1m",
  );
});

Deno.test("an agent that is not there or hangs fails each check, and one that may not be asked is unknown to Nagios", () => {
  const absent = new AgentNotRunningError("/run/a.sock");
  const silent = new AgentSilentError("/run/a.sock", 800, 4711);
  const closed = new AgentAccessError("/run/a.sock", undefined);
  const codes = (name: Parameters<typeof check>[0]) =>
    [absent, silent, closed].map((failure) => check(name, { failure }).code);
  assertEquals(codes("live"), [1, 1, 1]);
  assertEquals(codes("ready"), [1, 1, 1]);
  assertEquals(codes("nagios"), [2, 2, 3]);
});

Deno.test("a warning of a later version fails no check but that of Nagios", () => {
  const { status } = up();
  const [later] = up({ "config.refused": "odd" }).status.warnings;
  const warnings = [{ ...later!, code: "later.thing" as WarningCode }];
  const sight = { status: { ...status, warnings } };
  assertEquals(check("live", sight).code, 0);
  assertEquals(check("ready", sight).code, 0);
  assertEquals(check("nagios", sight).code, 1);
});
