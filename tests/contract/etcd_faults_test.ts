import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import type { RegistryError, RegistryFault } from "../../lease/errors.ts";
import type { EtcdRegistryOptions } from "../../lease/etcd_registry.ts";
import { parseCidr } from "../../net/cidr.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { TestAuthority } from "../support/certificates.ts";
import { startEtcd } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";
import { RawServer } from "../support/raw_server.ts";
import {
  BUSY_MS,
  DEADLINE_MS,
  errorOf,
  eventually,
  openRegistry,
} from "../support/registry_calls.ts";

const never = new AbortController().signal;

/** The fault of a first call and, which must be the same, of a second one. */
async function faultOf(
  options: Partial<EtcdRegistryOptions>,
): Promise<RegistryError> {
  const registry = openRegistry(options);
  try {
    const before = performance.now();
    const first = await errorOf(registry.list(never));
    const tookMs = performance.now() - before;
    assert(tookMs < DEADLINE_MS + BUSY_MS, `it took ${tookMs} ms`);
    for (const endpoint of options.endpoints ?? []) {
      assertStringIncludes(first.message, endpoint);
    }
    assertMatch(first.message, /^Cannot list the leases: etcd at .* must /);
    assert(!first.message.includes("\n"));
    assert(first.hint !== undefined);
    assertEquals(first.code, `registry.${first.fault}`);
    assertEquals((await errorOf(registry.list(never))).fault, first.fault);
    return first;
  } finally {
    registry.close();
  }
}

function expectFault(
  sentence: string,
  fault: RegistryFault,
  words: string,
  run: () => Promise<RegistryError>,
): void {
  Deno.test(`etcd registry: ${sentence}: ${fault}`, async () => {
    const error = await run();
    assertEquals(error.fault, fault, error.message);
    assertStringIncludes(error.message, words);
  });
}

expectFault(
  "nothing listens at the endpoint",
  "refused",
  "nothing listens",
  () => faultOf({ endpoints: [`http://127.0.0.1:${freePort()}`] }),
);

expectFault(
  "the endpoint's name does not resolve",
  "dns",
  "no-such-host.invalid",
  () => faultOf({ endpoints: ["http://no-such-host.invalid:2379"] }),
);

for (const scheme of ["http", "https"]) {
  expectFault(
    `the port accepts and says nothing (${scheme})`,
    "deadline",
    "does not answer",
    async () => {
      await using server = new RawServer(() => {});
      return await faultOf({
        endpoints: [`${scheme}://127.0.0.1:${server.port}`],
      });
    },
  );
  expectFault(
    `a mail server answers (${scheme})`,
    "not-etcd",
    "220 mail",
    async () => {
      await using server = RawServer.saying("220 mail ESMTP\r\n");
      return await faultOf({
        endpoints: [`${scheme}://127.0.0.1:${server.port}`],
      });
    },
  );
}

expectFault(
  "the port hangs up at once",
  "unreachable",
  "closes them at once",
  async () => {
    await using server = new RawServer((connection) => connection.close());
    const error = await faultOf({
      endpoints: [`http://127.0.0.1:${server.port}`],
    });
    // With grpc-js's transparent retry it would be thousands.
    assert(server.accepted < 20, `${server.accepted} connections`);
    return error;
  },
);

expectFault(
  "a web server answers",
  "not-etcd",
  "web server",
  async () => {
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response("hello"),
    );
    return await faultOf({
      endpoints: [`http://127.0.0.1:${server.addr.port}`],
    });
  },
);

Deno.test("etcd registry: TLS", async (test) => {
  await using authority = await TestAuthority.make();
  await using stranger = await TestAuthority.make();
  const server = await authority.issue("server", "IP:127.0.0.1,DNS:localhost");
  const client = await authority.issue("client", "DNS:client");
  const elsewhere = await authority.issue("elsewhere", "DNS:elsewhere");
  const { caFile } = authority;

  {
    await using etcd = await startEtcd({ tls: server });
    const { endpoint } = etcd;
    await test.step("a CA file alone is enough, by address and by name", async () => {
      const byName = endpoint.replace("127.0.0.1", "localhost");
      for (const url of [endpoint, byName]) {
        const registry = openRegistry({ endpoints: [url], tls: { caFile } });
        assertEquals((await registry.list(never)).leases, []);
        registry.close();
      }
    });
    await test.step("a certificate of another authority is refused", async () => {
      const error = await faultOf({
        endpoints: [endpoint],
        tls: { caFile: stranger.caFile },
      });
      assertEquals(error.fault, "tls");
      assertStringIncludes(error.message, "certificate");
    });
    await test.step("http:// to a TLS port names the other scheme", async () => {
      const error = await faultOf({
        endpoints: [endpoint.replace("https", "http")],
      });
      assertEquals(error.fault, "not-etcd");
      assertStringIncludes(error.message, "use https://");
    });
    await test.step("a file that is missing or no PEM is named, and read again once it is right", async () => {
      const path = `${await Deno.makeTempDir()}/ca.crt`;
      const registry = openRegistry({
        endpoints: [endpoint],
        tls: { caFile: path },
      });
      const missing = await errorOf(registry.list(never));
      assertEquals(missing.fault, "tls");
      assertStringIncludes(missing.message, `${path}: there is no such file`);
      await Deno.writeTextFile(path, "garbage");
      assertStringIncludes(
        (await errorOf(registry.list(never))).message,
        "PEM",
      );
      await Deno.copyFile(stranger.caFile, path);
      assertEquals((await errorOf(registry.list(never))).fault, "tls");
      await Deno.copyFile(caFile, path);
      assertEquals((await registry.list(never)).leases, []);
      registry.close();
    });
  }
  {
    await using etcd = await startEtcd({
      tls: { ...server, clientCaFile: caFile },
    });
    const endpoints = [etcd.endpoint];
    await test.step("a client certificate is shown where it is asked for", async () => {
      const registry = openRegistry({ endpoints, tls: { caFile, ...client } });
      assertEquals((await registry.list(never)).leases, []);
      registry.close();
    });
    await test.step("a client without a certificate is told so, and lives on", async () => {
      const error = await faultOf({ endpoints, tls: { caFile } });
      assertEquals(error.fault, "tls");
    });
  }
  {
    await using etcd = await startEtcd({ tls: elsewhere });
    await test.step("a certificate for another host is refused", async () => {
      const error = await faultOf({
        endpoints: [etcd.endpoint],
        tls: { caFile },
      });
      assertEquals(error.fault, "tls");
      assertStringIncludes(error.message, "altnames");
    });
  }
  {
    const old = await authority.issue("old", "IP:127.0.0.1", "20200201000000Z");
    await using etcd = await startEtcd({ tls: old });
    await test.step("an expired certificate is refused", async () => {
      const error = await faultOf({
        endpoints: [etcd.endpoint],
        tls: { caFile },
      });
      assertEquals(error.fault, "tls");
      assertStringIncludes(error.message, "expired");
    });
  }
  {
    await using etcd = await startEtcd();
    await test.step("https:// to a plain port names the other scheme", async () => {
      const error = await faultOf({
        endpoints: [etcd.endpoint.replace("http", "https")],
        tls: { caFile },
      });
      assertEquals(error.fault, "not-etcd");
      assertStringIncludes(error.message, "use http://");
    });
  }
});

Deno.test("etcd registry: users and roles", async (test) => {
  await using etcd = await startEtcd();
  const endpoints = [etcd.endpoint];
  const password = "a secret";
  await etcd.ctl("user", "add", `root:${password}`);
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("user", "add", `flannel:${password}`);
  await etcd.ctl("role", "add", "flannel");
  await etcd.ctl(
    ...["role", "grant-permission", "flannel", "readwrite"],
    ...["--prefix=true", "/coreos.com/network/"],
  );
  await etcd.ctl("user", "grant-role", "flannel", "flannel");

  const account = { username: "flannel", password };
  const registry = openRegistry({ endpoints, ...account });
  await test.step("an account is tolerated while authentication is off", async () => {
    assertEquals((await registry.list(never)).leases, []);
  });
  await etcd.ctl("auth", "enable");
  await test.step("authentication that is switched on later is followed", async () => {
    assertEquals((await registry.list(never)).leases, []);
  });
  await test.step("an account for the prefix alone can do all that is needed", async () => {
    const subnet = parseCidr("10.1.5.0/24")!;
    const attributes = {
      publicIp: parseIpv4("198.51.100.1")!,
      backendType: "udp",
    };
    await registry.writeConfig("{}", undefined, never);
    const lease = (await registry.create(subnet, attributes, 60, never))!;
    const renewed = (await registry.renew(lease, attributes, 60, never))!;
    for await (
      const [event] of registry.watch(lease.modRevision, never)
    ) {
      assertEquals(event?.revision, renewed.modRevision);
      break;
    }
    assert(await registry.remove(renewed, never));
  });
  await test.step("a token that etcd has forgotten is replaced", async () => {
    await etcd.kill();
    await etcd.start();
    await eventually(() => registry.list(never));
  });
  registry.close();

  await test.step("no account where one is needed", async () => {
    assertEquals((await faultOf({ endpoints })).fault, "auth");
  });
  await test.step("a wrong password is refused and not shown", async () => {
    const error = await faultOf({
      endpoints,
      username: "flannel",
      password: "wrong password",
    });
    assertEquals(error.fault, "auth");
    assert(!JSON.stringify([error.message, error.hint]).includes("wrong pass"));
  });
  await test.step("another prefix is forbidden", async () => {
    const error = await faultOf({ endpoints, prefix: "/other", ...account });
    assertEquals(error.fault, "permission");
    const other = openRegistry({ endpoints, prefix: "/other", ...account });
    const watch = other.watch("1", never)[Symbol.asyncIterator]();
    assertEquals((await errorOf(watch.next())).fault, "permission");
    other.close();
  });
});

Deno.test("etcd registry: a full etcd has its own fault, and reading still works", async () => {
  await using etcd = await startEtcd({
    extraArguments: ["--quota-backend-bytes=60000"],
  });
  const registry = openRegistry({ endpoints: [etcd.endpoint] });
  let fault: RegistryFault | undefined;
  for (let i = 0; i < 50 && fault === undefined; i++) {
    const stored = await registry.readConfig(never);
    await registry.writeConfig("x".repeat(5_000), stored, never)
      .catch((error) => fault = error.fault);
  }
  assertEquals(fault, "no-space");
  assertEquals((await registry.list(never)).leases, []);
  registry.close();
});

Deno.test("etcd registry: a connection on which calls break is replaced", async () => {
  await using server = RawServer.cancelling();
  const registry = openRegistry({
    endpoints: [`http://127.0.0.1:${server.port}`],
  });
  for (const connections of [1, 2, 3]) {
    const { fault } = await errorOf(registry.list(never));
    assertEquals(fault, "unreachable");
    assertEquals(server.accepted, connections);
  }
  registry.close();
});

Deno.test("etcd registry: of several endpoints one that works is used", async () => {
  await using silent = new RawServer(() => {});
  await using etcd = await startEtcd();
  const registry = openRegistry({
    endpoints: [
      `http://127.0.0.1:${freePort()}`,
      `http://127.0.0.1:${silent.port}`,
      etcd.endpoint,
    ],
  });
  await registry.list(never);
  const { accepted } = silent;
  await registry.list(never);
  assertEquals(silent.accepted, accepted, "the one that worked comes first");
  registry.close();
});

Deno.test("etcd registry: with no endpoint that works each is named with its fault", async () => {
  await using silent = new RawServer(() => {});
  const endpoints = [
    `http://127.0.0.1:${freePort()}`,
    `http://127.0.0.1:${silent.port}`,
  ];
  const error = await faultOf({ endpoints });
  assertEquals(error.fault, "deadline");
  assertStringIncludes(error.message, `${endpoints[0]}: nothing listens`);
  assertStringIncludes(error.message, `${endpoints[1]}: the port accepts`);
});
