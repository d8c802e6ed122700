import { assertEquals, assertRejects } from "@std/assert";
import { SubnetChangedError } from "../../../../agent/errors.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { AgentRig } from "../agent_rig.ts";

const MOVED = parseCidr("10.1.77.0/24")!;
const RESTART = { kind: "run", command: "restart docker" } as const;

Deno.test("exit: the agent ends when the files say the other subnet, and has stopped in order", async () => {
  const rig = new AgentRig({ subnetChange: { action: { kind: "exit" } } });
  await rig.start();
  rig.membership.move(MOVED);
  await rig.settle();
  await rig.clock.advance(1_000);
  await assertRejects(() => rig.ended, SubnetChangedError, "10.1.77.0/24");
  assertEquals(
    JSON.parse(rig.files.get("/run/flannel/subnet.env")!).subnet,
    MOVED,
  );
  assertEquals(rig.state.phase, "stopped");
});

Deno.test("exit: a start with another subnet than that of the last run exits once", async () => {
  const subnetChange = {
    action: { kind: "exit" },
    formerSubnet: MOVED,
  } as const;
  const rig = new AgentRig({ subnetChange });
  await rig.start();
  await rig.clock.advance(1_000);
  await assertRejects(() => rig.ended, SubnetChangedError);
  const next = new AgentRig({
    subnetChange: { ...subnetChange, formerSubnet: parseCidr("10.1.5.0/24") },
  });
  await next.start();
  assertEquals(next.state.facts.ready, true);
  await next.stop();
});

Deno.test("run: the command runs after the files are written, with their content as variables", async () => {
  const rig = new AgentRig({ subnetChange: { action: RESTART } });
  await rig.start();
  assertEquals(rig.commands, []);
  rig.calls.length = 0;
  rig.membership.move(MOVED);
  await rig.settle();
  assertEquals(rig.calls.slice(-3).map((call) => call.split(" ")[0]), [
    "write",
    "run",
    "docker",
  ]);
  assertEquals(rig.commands, [{
    command: "restart docker",
    env: {
      FLANNEL_NETWORK: "10.1.0.0/16",
      FLANNEL_SUBNET: "10.1.77.1/24",
      FLANNEL_MTU: "1472",
      FLANNEL_IPMASQ: "false",
      LODEN_SUBNET: "10.1.77.0/24",
      LODEN_FORMER_SUBNET: "10.1.5.0/24",
    },
  }]);
  await rig.stop();
});

Deno.test("run: a command that fails or is not there is logged, and the network goes on", async () => {
  const rig = new AgentRig({ subnetChange: { action: RESTART } });
  await rig.start();
  using logs = new CapturedLogs();
  rig.runCommand = () =>
    Promise.resolve({ code: 5, stdout: "", stderr: "Unit not found" });
  rig.membership.move(MOVED);
  await rig.settle();
  rig.runCommand = () => Promise.reject(new Error("no shell"));
  rig.membership.move(parseCidr("10.1.78.0/24")!);
  await rig.settle();
  const [failed] = logs.events("subnet-change.failed");
  assertEquals(failed!.code, 5);
  assertEquals(failed!.stderr, "Unit not found");
  assertEquals(logs.events("subnet-change.run").length, 2);
  assertEquals(logs.events("subnet-change.not-run").length, 1);
  assertEquals(rig.state.warnings(), []);
  await rig.stop();
});

Deno.test("run: the stop ends a command that still runs, and so does the next change", async () => {
  const rig = new AgentRig({ subnetChange: { action: RESTART } });
  await rig.start();
  const ended: string[] = [];
  rig.runCommand = (signal) =>
    new Promise((_resolve, reject) => {
      const subnet = rig.commands.at(-1)!.env.LODEN_SUBNET!;
      signal.addEventListener("abort", () => {
        ended.push(subnet);
        reject(signal.reason);
      }, { once: true });
    });
  rig.membership.move(MOVED);
  await rig.settle();
  rig.membership.move(parseCidr("10.1.78.0/24")!);
  await rig.settle();
  assertEquals(ended, ["10.1.77.0/24"]);
  await rig.stop();
  assertEquals(ended, ["10.1.77.0/24", "10.1.78.0/24"]);
});
