import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseDaemonConfig } from "../../../../host/docker/daemon_config.ts";
import {
  type DropsContext,
  findDrops,
} from "../../../../host/docker/docker_drops.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../../fakes/fake_command_runner.ts";

const noSignal = new AbortController().signal;
const context: DropsContext = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.27.0/24")!,
  overlayDevice: "flannel0",
  directDevices: [],
  forward: true,
  masquerade: true,
  config: parseDaemonConfig("{}"),
};

const ACCEPT = "-s 10.1.0.0/16 -d 10.1.27.0/24 -i flannel0 -m comment " +
  '--comment "loden docker" -j ACCEPT';
const DIRECT = "-s 10.1.0.0/16 -d 10.1.27.0/24 -i eth0 ";
const DIRECT_MARK = `${DIRECT}-m rpfilter -m comment --comment ` +
  '"loden docker" -j MARK --set-xmark 0x1000000/0x1000000';
const DIRECT_ACCEPT = `${DIRECT}-m mark --mark 0x1000000/0x1000000 ` +
  '-m comment --comment "loden docker" -j ACCEPT';
const JUMP = '-m comment --comment "loden docker" -j LODEN-DOCKER';

/** iptables-save on a host with Docker 28, with or without the way past. */
function docker28(passed: boolean): string {
  const chain = passed ? ":LODEN-DOCKER - [0:0]\n" : "";
  const rules = (parent: string) =>
    passed ? `-A LODEN-DOCKER ${ACCEPT}\n-A ${parent} ${JUMP}\n` : "";
  return `*raw
:PREROUTING ACCEPT [0:0]
${chain}${rules("PREROUTING")}-A PREROUTING -d 10.1.27.2/32 ! -i docker0 -j DROP
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
${chain}${rules("DOCKER-USER")}-A DOCKER ! -i docker0 -o docker0 -j DROP
COMMIT
`;
}

const ACCEPT_MARK = "meta mark & 0x01000000 == 0x01000000 counter " +
  'packets 0 bytes 0 accept comment "ALLOW FW MARK" # handle 4';
const RAW_DROP = 'ip daddr 10.1.27.2 iifname != "docker0" counter ' +
  "packets 0 bytes 0 drop # handle 2";

/** nft's list of the table of a Docker 29, with or without both options. */
function docker29(given: boolean): string {
  return `table ip docker-bridges {
\tchain raw-PREROUTING { # handle 1
\t\t${given ? "" : RAW_DROP}
\t}
\tchain filter-forward-in__docker0 { # handle 3
\t\t${given ? ACCEPT_MARK : ""}
\t\tcounter packets 0 bytes 0 drop comment "UNPUBLISHED PORT DROP" # handle 5
\t}
}
`;
}

const iptables = (text: string): Record<string, FakeProgram> => ({
  "iptables-save": () => ({ stdout: text }),
});
const nft = (text: string | undefined): Record<string, FakeProgram> => ({
  nft: () =>
    text === undefined
      ? { code: 1, stderr: "Error: No such file or directory" }
      : { stdout: text },
});

function look(
  programs: Record<string, FakeProgram>,
  change: Partial<DropsContext> = {},
) {
  const runner = new FakeCommandRunner(programs);
  return findDrops(runner, { ...context, ...change }, noSignal);
}

Deno.test("a host without any tool has no drops", async () => {
  assertEquals(await look({}), undefined);
});

Deno.test("a Docker before 28 drops nothing", async () => {
  const text = docker28(false).replace(/-A DOCKER !.*\n/, "");
  assertEquals(await look({ ...iptables(text), ...nft(undefined) }), undefined);
});

Deno.test("Docker 28 with the bypass in place drops nothing", async () => {
  assertEquals(await look(iptables(docker28(true))), undefined);
});

Deno.test("Docker 28 without it drops, and the flag that switched it off is named", async () => {
  const programs = iptables(docker28(false));
  assertEquals((await look(programs))?.fix, "loden firewall show");
  const off = await look(programs, { forward: false });
  assertEquals(off?.code, "docker.drops-overlay");
  assertStringIncludes(off!.fix, "--iptables-forward-rules=true");
  assertStringIncludes(off!.text, "10.1.27.0/24");
});

Deno.test("a backend whose packets Docker cannot drop has no drops", async () => {
  const none = { overlayDevice: undefined, directDevices: [] };
  assertEquals(await look(iptables(docker28(false)), none), undefined);
  const direct = { overlayDevice: undefined, directDevices: ["eth0"] };
  const problem = await look(iptables(docker28(false)), direct);
  assertEquals(problem?.fix, "loden firewall show");
});

Deno.test("Docker's masquerade hides a container from the Docker of a peer on the link", async () => {
  const passed = docker28(true).replaceAll(
    ACCEPT,
    `${ACCEPT}\n-A LODEN-DOCKER ${DIRECT_MARK}\n-A LODEN-DOCKER ${DIRECT_ACCEPT}`,
  );
  const filter = passed.indexOf("*filter");
  const text = passed.slice(0, filter) +
    passed.slice(filter).replace(`-A LODEN-DOCKER ${DIRECT_MARK}\n`, "") +
    `*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.1.27.0/24 ! -o docker0 -j MASQUERADE
COMMIT
`;
  const direct = { directDevices: ["eth0"], masquerade: false };
  const problem = await look(iptables(text), direct);
  assertStringIncludes(problem!.fix, "--ip-masq=true");
  const allowed = { ...direct, masquerade: true };
  assertEquals(await look(iptables(text), allowed), undefined);
});

Deno.test("Docker with nftables drops without the options, and the missing ones are named", async () => {
  const problem = await look(nft(docker29(false)));
  assertStringIncludes(problem!.text, "--allow-direct-routing");
  assertStringIncludes(problem!.text, "--bridge-accept-fwmark");
  assertStringIncludes(problem!.fix, "start dockerd with");
  assertEquals(await look(nft(docker29(true))), undefined);
});

Deno.test("where daemon.json asks for nftables the options file has them: a restart is enough", async () => {
  const config = parseDaemonConfig('{ "firewall-backend": "nftables" }');
  const problem = await look(nft(docker29(false)), { config });
  assertEquals(problem?.fix, "systemctl restart docker");
});

Deno.test("without our forward rules nothing has the mark that Docker accepts", async () => {
  const problem = await look(nft(docker29(true)), { forward: false });
  assertStringIncludes(problem!.fix, "--iptables-forward-rules=true");
});
