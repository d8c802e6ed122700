import { assertEquals, assertStringIncludes } from "@std/assert";
import { dockerCheck } from "../../../../../commands/doctor/checks/docker.ts";
import {
  DOCKER_DROP_IN,
  systemdCheck,
} from "../../../../../commands/doctor/checks/systemd.ts";
import { FakeDoctorHost, worse } from "../../../../fakes/fake_doctor_host.ts";

const RIGHT = ["--bip=10.1.5.1/24", "--mtu=1472", "--ip-masq=false"];

function addBridge({ rtnetlink }: FakeDoctorHost, address: string): void {
  const { index } = rtnetlink.addLink({
    name: "docker0",
    kind: "bridge",
    up: true,
  });
  rtnetlink.addAddress(index, address);
}

function dockerHost(address: string, ...words: string[]): FakeDoctorHost {
  const host = new FakeDoctorHost();
  host.startDocker(...words);
  addBridge(host, address);
  return host;
}

Deno.test("a host without Docker", async () => {
  assertEquals(worse(await new FakeDoctorHost().find(dockerCheck)), [
    "note docker.engine",
  ]);
});

Deno.test("Docker on the lease, with the options that the agent writes", async () => {
  const host = dockerHost("10.1.5.1/24", ...RIGHT);
  const findings = await host.find(dockerCheck);
  assertEquals(worse(findings), []);
  assertEquals(findings[0]!.value, "28.2.1, rules by iptables");
});

Deno.test("Docker without the options is a problem, said once", async () => {
  const host = dockerHost("172.17.0.1/16");
  assertEquals(worse(await host.find(dockerCheck)), [
    "problem docker.options: systemctl restart docker",
  ]);
});

Deno.test("daemon.json with an option that the agent's file has, too, names it in the cure", async () => {
  const host = dockerHost("172.17.0.1/16");
  host.files.set("/etc/docker/daemon.json", '{"bip":"172.17.0.1/16"}');
  assertEquals(worse(await host.find(dockerCheck)), [
    'problem docker.options: remove "bip" from /etc/docker/daemon.json, then ' +
    "systemctl restart docker",
    'note docker.options: remove "bip" from /etc/docker/daemon.json',
  ]);
});

Deno.test("a daemon whose command line cannot be read is not accused", async () => {
  const host = dockerHost("172.17.0.1/16");
  host.dockerd = { ...host.dockerd!, words: [""] };
  assertEquals(worse(await host.find(dockerCheck)), ["note docker.options"]);
});

Deno.test("Docker that masquerades beside the agent, on the lease, is a warning", async () => {
  const host = dockerHost("10.1.5.1/24", ...RIGHT.slice(0, 2));
  const findings = await host.find(dockerCheck);
  assertEquals(worse(findings), [
    "warning docker.options: systemctl restart docker",
  ]);
  assertEquals(
    findings.find(({ severity }) => severity === "warning")!.value,
    "dockerd runs without --ip-masq=false",
  );
});

Deno.test("another Docker network on the lease is enough", async () => {
  const host = new FakeDoctorHost();
  host.startDocker();
  const { index } = host.rtnetlink.addLink({
    name: "br-0123456789ab",
    kind: "bridge",
    up: true,
  });
  host.rtnetlink.addAddress(index, "10.1.5.1/24");
  assertEquals(worse(await host.find(dockerCheck)), ["note docker.options"]);
});

Deno.test("a bridge in the overlay that is not on the lease", async () => {
  const host = dockerHost("10.1.9.1/24", "--bip=10.1.9.1/24");
  const findings = await host.find(dockerCheck);
  assertEquals(worse(findings), [
    "problem docker.options: systemctl restart docker",
  ]);
});

Deno.test("before the lease is known, Docker's options are not compared", async () => {
  const host = dockerHost("172.17.0.1/16");
  host.known = { ...host.known, subnetEnv: {} };
  assertEquals(worse(await host.find(dockerCheck)), ["note docker.options"]);
});

Deno.test("settings of Docker that change what to do", async () => {
  const host = dockerHost("10.1.5.1/24", ...RIGHT, "--iptables=false");
  host.files.set("/etc/docker/daemon.json", '{"live-restore":true}');
  assertEquals(worse(await host.find(dockerCheck)), [
    "note docker.iptables",
    "note docker.live-restore: docker stop $(docker ps -q) && systemctl " +
    "restart docker",
  ]);
});

Deno.test("a Docker that does not answer", async () => {
  const host = dockerHost("10.1.5.1/24", ...RIGHT);
  host.dockerd = {
    words: ["dockerd", ...RIGHT],
    describe: () => Promise.resolve({ version: null, firewall: null }),
  };
  assertEquals(worse(await host.find(dockerCheck)), [
    "warning docker.engine: journalctl -u docker -e",
  ]);
  // An ordinary user may not ask.
  host.isRoot = false;
  assertEquals(worse(await host.find(dockerCheck)), []);
});

const LODEN = `Id=loden.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no`;
const DOCKER = `Id=docker.service
LoadState=loaded
ActiveState=active
NeedDaemonReload=no
After=network-online.target loden.service
ExecStart={ path=dockerd ; argv[]=dockerd -H fd:// $DOCKER_OPT_BIP ; }`;

function systemd(loden: string, docker: string, flanneld = LODEN) {
  const host = new FakeDoctorHost();
  host.files.set("/run/systemd/system", "");
  host.programs["systemctl"] = () => ({
    stdout: `${loden}\n\n${docker}\n\n${flanneld}\n`,
  });
  return host;
}

Deno.test("units in their order, with flanneld.service as Loden's alias", async () => {
  const host = systemd(LODEN, DOCKER);
  assertEquals(worse(await host.find(systemdCheck)), []);
});

Deno.test("a host without systemd", async () => {
  assertEquals(worse(await new FakeDoctorHost().find(systemdCheck)), [
    "note systemd.manager",
  ]);
});

Deno.test("a Docker unit without the drop-in: the cure writes it", async () => {
  const host = systemd(
    LODEN,
    DOCKER.replace(" loden.service", "").replace(" $DOCKER_OPT_BIP", ""),
  );
  const found = worse(await host.find(systemdCheck));
  assertEquals(found.length, 1);
  assertStringIncludes(
    found[0]!,
    "warning systemd.docker: mkdir -p /etc/systemd/system/docker.service.d " +
      "&& printf '%s\\n' '[Unit]' 'After=loden.service'",
  );
});

Deno.test("a Docker network of its own on the lease needs no drop-in", async () => {
  const host = systemd(LODEN, DOCKER.replace(" $DOCKER_OPT_BIP", ""));
  const { index } = host.rtnetlink.addLink({ name: "br-1", kind: "bridge" });
  host.rtnetlink.addAddress(index, "10.1.5.1/24");
  assertEquals(worse(await host.find(systemdCheck)), ["note systemd.docker"]);
});

Deno.test("a later drop-in that drops the options", async () => {
  const host = systemd(LODEN, DOCKER.replace(" $DOCKER_OPT_BIP", ""));
  const [line] = worse(await host.find(systemdCheck));
  assertStringIncludes(line!, "keep $DOCKER_OPT_BIP");
});

Deno.test("the drop-in that the cure writes is that of the package", async () => {
  const file = await Deno.readTextFile(
    new URL(
      "../../../../../packaging/systemd/docker.service.d/50-loden.conf",
      import.meta.url,
    ),
  );
  const lines = file.split("\n").filter((line) => !/^(#.*)?$/.test(line));
  assertEquals(DOCKER_DROP_IN, lines);
});

Deno.test("units that failed, are disabled or have changed", async () => {
  const host = systemd(
    LODEN.replace("=active", "=failed").replace("=enabled", "=disabled")
      .replace("Reload=no", "Reload=yes"),
    DOCKER.replace("Reload=no", "Reload=yes"),
  );
  assertEquals(worse(await host.find(systemdCheck)), [
    "problem systemd.loden: journalctl -u loden -e",
    "warning systemd.loden: systemctl enable loden",
    "warning systemd.loden: systemctl daemon-reload",
    "warning systemd.docker: systemctl daemon-reload",
  ]);
});

Deno.test("flannel's own unit beside Loden's", async () => {
  const flanneld = LODEN.replace("loden.service", "flanneld.service");
  const host = systemd(LODEN, DOCKER, flanneld);
  assertEquals(worse(await host.find(systemdCheck)), [
    "warning systemd.flanneld: systemctl disable --now flanneld",
  ]);
});
