/**
 * What a real etcd is reported as, and that nothing is written to it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { TlsFiles } from "../../lease/etcd/credentials.ts";
import { readEndpointReports } from "../../lease/etcd_reports.ts";
import { TestAuthority } from "../support/certificates.ts";
import type { EtcdServer } from "../support/etcd.ts";
import { startEtcd } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";

const PREFIX = "/coreos.com/network";
const NEVER = new AbortController().signal;

function report(etcd: EtcdServer, account = {}) {
  return readEndpointReports({
    endpoints: [etcd.endpoint],
    prefix: PREFIX,
    deadlineMs: 3_000,
    ...account,
  }, NEVER);
}

async function revisionOf(etcd: EtcdServer): Promise<number> {
  const text = await etcd.ctl("endpoint", "status", "--write-out=json");
  return JSON.parse(text)[0].Status.header.revision;
}

/** An account with these rights, by their words for etcdctl. */
async function addAccount(
  etcd: EtcdServer,
  name: string,
  rights: readonly (readonly string[])[],
) {
  await etcd.ctl("role", "add", name);
  for (const right of rights) {
    await etcd.ctl("role", "grant-permission", name, ...right);
  }
  await etcd.ctl("user", "add", `${name}:secret`);
  await etcd.ctl("user", "grant-role", name, name);
  return { username: name, password: "secret" };
}

Deno.test("an endpoint is reported with version, health, clock and rights, and nothing is written", async () => {
  await using etcd = await startEtcd();
  await etcd.ctl("put", `${PREFIX}/config`, '{"Network":"10.1.0.0/16"}');
  const before = await revisionOf(etcd);
  const [found] = await report(etcd);
  assertEquals(await revisionOf(etcd), before);
  assertEquals(found!.failure, undefined);
  assertEquals(found!.denied, []);
  assertMatch(found!.version!, /^3\.\d+\.\d+/);
  assertEquals(found!.healthy, true);
  assert(found!.latencyMs! >= 0);
  const { least, most } = found!.aheadMs!;
  assert(least < 1_000 && most > -1_000, `${least} ${most}`);

  // An account that may do all that a host does lacks nothing, and still
  // nothing is written.
  const host = await addAccount(etcd, "host", [
    ["read", `${PREFIX}/config`],
    ["readwrite", "--prefix", `${PREFIX}/subnets/`],
    ["readwrite", "--prefix", `${PREFIX}/loden/`],
  ]);
  const reader = await addAccount(etcd, "reader", [
    ["read", "--prefix", PREFIX],
  ]);
  await etcd.ctl("user", "add", "root:secret");
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("auth", "enable");
  etcd.user = "root:secret";
  const withAuth = await revisionOf(etcd);
  const [allowed] = await report(etcd, host);
  assertEquals([allowed!.failure, allowed!.denied], [undefined, []]);
  const [denied] = await report(etcd, reader);
  assertEquals(denied!.denied.map(({ hint }) => hint), [
    `grant the right: etcdctl role grant-permission ROLE readwrite --prefix ${PREFIX}/subnets/`,
    `grant the right: etcdctl role grant-permission ROLE readwrite --prefix ${PREFIX}/loden/roll-call/`,
  ]);
  assertEquals(denied!.role, "reader");
  assertEquals(await revisionOf(etcd), withAuth);
  const [wrong] = await report(etcd, { ...host, password: "another" });
  assertEquals(wrong!.failure!.fault, "auth");

  // It keeps its connections and says nothing any more.
  etcd.pause();
  try {
    const startedMs = performance.now();
    const [silent] = await readEndpointReports({
      endpoints: [etcd.endpoint],
      prefix: PREFIX,
      deadlineMs: 500,
    }, NEVER);
    assertEquals(silent!.failure!.fault, "deadline");
    assert(performance.now() - startedMs < 2_000);
  } finally {
    etcd.resume();
  }
});

Deno.test("an endpoint over TLS tells the same, and one that does not trust this host is told apart", async () => {
  await using authority = await TestAuthority.make();
  await using stranger = await TestAuthority.make();
  const server = await authority.issue("server", "IP:127.0.0.1");
  const client = await authority.issue("client", "DNS:client");
  await using etcd = await startEtcd({
    tls: { ...server, clientCaFile: authority.caFile, client },
  });
  const ask = (tls: TlsFiles) =>
    readEndpointReports({
      endpoints: [etcd.endpoint],
      prefix: PREFIX,
      deadlineMs: 3_000,
      tls,
    }, NEVER);
  const [found] = await ask({ caFile: authority.caFile, ...client });
  assertEquals([found!.failure, found!.healthy], [undefined, true]);
  assertMatch(found!.version!, /^3\./);
  assert(found!.aheadMs !== undefined);
  for (
    const tls of [
      { caFile: stranger.caFile, ...client },
      { caFile: authority.caFile },
    ]
  ) {
    const [refused] = await ask(tls);
    assertEquals(refused!.failure!.fault, "tls");
    assertEquals(refused!.version, undefined);
  }
});

Deno.test("an endpoint at which nothing listens", async () => {
  const [found] = await readEndpointReports({
    endpoints: [`http://127.0.0.1:${freePort()}`],
    prefix: PREFIX,
    deadlineMs: 1_000,
  }, NEVER);
  assertEquals(found!.failure!.fault, "refused");
  assertEquals(found!.version, undefined);
});
