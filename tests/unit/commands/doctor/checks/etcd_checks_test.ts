import { assertEquals, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { etcdCheck } from "../../../../../commands/doctor/checks/etcd.ts";
import { networkCheck } from "../../../../../commands/doctor/checks/network.ts";
import { NetworkConfigError } from "../../../../../config/errors.ts";
import { RegistryError } from "../../../../../lease/errors.ts";
import { parseCidr } from "../../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../../net/ipv4.ts";
import { TestAuthority } from "../../../../support/certificates.ts";
import { FakeDoctorHost, worse } from "../../../../fakes/fake_doctor_host.ts";

const URL_2 = "http://192.0.2.2:2379";

function failure(
  fault: "permission" | "refused" | "unreachable",
  hint?: string,
) {
  return new RegistryError(fault, "write leases", {
    endpoints: [URL_2],
    detail: "nothing listens on that port",
    ...hint === undefined ? {} : { hint },
  });
}

Deno.test("an endpoint that cannot be used is a problem only if no other one can", async () => {
  const host = new FakeDoctorHost();
  assertEquals(worse(await host.find(etcdCheck)), []);
  const dead = { url: URL_2, failure: failure("refused"), denied: [] };
  host.etcd.push(dead);
  const cure = "systemctl start etcd on that host, or correct --etcd-endpoints";
  assertEquals(worse(await host.find(etcdCheck)), [
    `warning etcd.endpoint: ${cure}`,
  ]);
  host.etcd = [{ ...dead, failure: failure("unreachable") }];
  assertEquals(worse(await host.find(etcdCheck)), [
    "problem etcd.endpoint: ip route get 192.0.2.2; ping -c 3 192.0.2.2, and " +
    "look for a firewall between the two",
  ]);
  host.etcd = [dead];
  assertEquals(worse(await host.find(etcdCheck)), [
    `problem etcd.endpoint: ${cure}`,
  ]);
});

Deno.test("an endpoint that is ill, full or slow", async () => {
  const host = new FakeDoctorHost();
  const [report] = host.etcd;
  const { url } = report!;
  host.etcd = [{ ...report!, healthy: false, reason: "RAFT NO LEADER" }];
  assertEquals(worse(await host.find(etcdCheck)), [
    `warning etcd.endpoint: etcdctl --endpoints=${url} endpoint health`,
  ]);
  host.etcd = [{ ...report!, healthy: false, reason: "ALARM NOSPACE" }];
  const [full] = worse(await host.find(etcdCheck));
  assertStringIncludes(full!, "problem etcd.endpoint: ");
  assertStringIncludes(full!, "alarm disarm");
  host.etcd = [{ ...report!, latencyMs: 900 }];
  assertEquals(worse(await host.find(etcdCheck)), [
    `warning etcd.endpoint: etcdctl --endpoints=${url} check perf`,
  ]);
});

Deno.test("a missing right has the command that grants it as its cure, once", async () => {
  const host = new FakeDoctorHost();
  const [report] = host.etcd;
  const grant = "etcdctl role grant-permission ROLE readwrite --prefix /a/";
  const denied = failure("permission", `grant the right: ${grant}`);
  host.etcd = [{ ...report!, denied: [denied, denied] }];
  assertEquals(worse(await host.find(etcdCheck)), [
    `problem etcd.rights: ${grant}`,
  ]);
  host.etcd = [{ ...report!, denied: [denied], role: "hosts" }];
  assertEquals(worse(await host.find(etcdCheck)), [
    `problem etcd.rights: ${grant.replace("ROLE", "hosts")}`,
  ]);
});

Deno.test("a password in clear text is a warning, except on this host", async () => {
  const host = new FakeDoctorHost();
  const account = ["--etcd-username=host", "--etcd-password=secret"];
  host.argv = [...account, "--etcd-endpoints=http://127.0.0.1:2379"];
  assertEquals(worse(await host.find(etcdCheck)), []);
  host.argv = [...account, "--etcd-endpoints=https://192.0.2.1:2379"];
  assertEquals(worse(await host.find(etcdCheck)), []);
  host.argv = [...account, "--etcd-endpoints=http://192.0.2.1:2379"];
  const findings = await host.find(etcdCheck);
  assertEquals(
    findings.filter(({ severity }) => severity === "warning")
      .map(({ code }) => code),
    ["etcd.clear-text"],
  );
  assertEquals(JSON.stringify(findings).includes("secret"), false);
});

Deno.test("a certificate that ends soon, and one that has ended", async () => {
  await using authority = await TestAuthority.make();
  const { certFile } = await authority.issue("client", "DNS:client");
  const host = new FakeDoctorHost();
  const pem = await Deno.readTextFile(certFile);
  host.files.set("/client.pem", pem);
  host.argv = [
    "--etcd-endpoints=https://192.0.2.1:2379",
    "--etcd-certfile=/client.pem",
    "--etcd-keyfile=/client.key",
  ];
  const endsMs = Date.parse(new X509Certificate(pem).validTo);
  const severityAt = async (nowMs: number) => {
    host.nowMs = nowMs;
    const findings = await host.find(etcdCheck);
    return findings.find(({ code }) => code === "etcd.certificate")?.severity;
  };
  const day = 86_400_000;
  assertEquals(await severityAt(endsMs - 20 * day), "ok");
  assertEquals(await severityAt(endsMs - 10 * day), "warning");
  assertEquals(await severityAt(endsMs + day), "problem");
  host.files.set("/client.pem", "no certificate");
  assertEquals(await severityAt(endsMs), undefined);
});

Deno.test("a network config that fits", async () => {
  const host = new FakeDoctorHost();
  const findings = await host.find(networkCheck);
  assertEquals(worse(findings), []);
  assertEquals(
    findings[0]!.value,
    "10.1.0.0/16, a /24 for each host, backend udp",
  );
});

Deno.test("a network config that is missing, invalid or out of reach", async () => {
  const host = new FakeDoctorHost();
  host.known = { ...host.known, config: undefined };
  assertEquals(worse(await host.find(networkCheck)), [
    "problem network.config: loden config put " +
    `'{ "Network": "10.1.0.0/16" }'`,
  ]);
  const invalid = new NetworkConfigError("network.network", "Cannot use it", {
    hint: "for example 10.1.0.0/16",
  });
  host.known = { ...host.known, failure: invalid };
  assertEquals(worse(await host.find(networkCheck)), [
    "problem network.config: for example 10.1.0.0/16",
  ]);
  host.known = { ...host.known, failure: failure("refused") };
  const [note] = await host.find(networkCheck);
  assertEquals([note!.severity, note!.value], [
    "note",
    "not known, because etcd cannot be read; /run/flannel/subnet.env says " +
    "10.1.0.0/16",
  ]);
});

Deno.test("a network config with a key that has no effect", async () => {
  const host = new FakeDoctorHost();
  host.publish({ SubnetLenn: 25 });
  const [, unknown] = await host.find(networkCheck);
  assertEquals(unknown!.severity, "warning");
  assertStringIncludes(unknown!.value, "SubnetLenn");
  assertEquals(
    unknown!.fix,
    `loden config put '{"Network":"10.1.0.0/16","SubnetLen":25}'`,
  );
  const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=";
  host.publish({
    Backend: { Type: "wireguard", PSK: secret, Quux: 1 },
  });
  const findings = await host.find(networkCheck);
  const backend = findings.find(({ severity }) => severity === "warning");
  assertStringIncludes(backend!.fix!, '"Type":"wireguard"');
  assertEquals(backend!.fix!.includes("Quux"), false);
  assertEquals(JSON.stringify(findings).includes(secret), false);
});

Deno.test("a network that this host uses already", async () => {
  const host = new FakeDoctorHost();
  const eth1 = host.rtnetlink.addLink({ name: "eth1", up: true });
  host.rtnetlink.addRoute({
    destination: parseCidr("10.1.3.0/24")!,
    interfaceIndex: eth1.index,
  });
  assertEquals(worse(await host.find(networkCheck)), [
    "problem network.overlap: ip route del 10.1.3.0/24 dev eth1",
  ]);
});

function addFlannelDevice({ rtnetlink }: FakeDoctorHost): void {
  const { index } = rtnetlink.addLink({
    name: "flannel.1",
    kind: "vxlan",
    up: true,
  });
  rtnetlink.addAddress(index, "10.1.7.0/32");
  rtnetlink.addRoute({
    destination: parseCidr("10.1.8.0/24")!,
    gateway: parseIpv4("10.1.8.0")!,
    interfaceIndex: index,
  });
}

Deno.test("a device that flannel has left is a problem, with the command that removes it", async () => {
  const host = new FakeDoctorHost();
  addFlannelDevice(host);
  assertEquals(worse(await host.find(networkCheck)), [
    "problem network.leftover: ip link delete flannel.1",
  ]);
  // It is known by the subnet file as well.
  host.known = {
    ...host.known,
    config: undefined,
    failure: failure("refused"),
  };
  assertEquals(worse(await host.find(networkCheck)), [
    "note network.config",
    "problem network.leftover: ip link delete flannel.1",
  ]);
  host.argv = ["--take-over-devices"];
  assertEquals(
    worse(await host.find(networkCheck)).at(-1),
    "note network.leftover",
  );
});

Deno.test("the same device is no leftover in a vxlan network", async () => {
  const host = new FakeDoctorHost();
  addFlannelDevice(host);
  host.publish({ Backend: { Type: "vxlan" } });
  assertEquals(worse(await host.find(networkCheck)), []);
});

Deno.test("a backend that the administrator does not allow", async () => {
  const host = new FakeDoctorHost();
  host.publish({ Backend: { Type: "extension" } });
  const findings = await host.find(networkCheck);
  const refused = findings.find(({ code }) => code === "network.backend");
  assertEquals(refused!.severity, "problem");
  assertStringIncludes(refused!.value, "--allow-extension-commands");
});
