import { assertEquals, assertMatch } from "@std/assert";
import { once } from "node:events";
import type { Socket } from "node:net";
import { needsRelay, relayTls } from "../../lease/etcd/tls_relay.ts";
import { TestAuthority } from "../support/certificates.ts";

Deno.test("only a Deno before 2.9 speaks HTTP/2 through a relay", () => {
  assertEquals(["2.7.11", "2.8.0", "1.46.3"].map(needsRelay), [
    true,
    true,
    true,
  ]);
  assertEquals(["2.9.0", "2.10.1", "3.0.0"].map(needsRelay), [
    false,
    false,
    false,
  ]);
});

/** A TLS server that says everything again. */
async function echoServer(authority: TestAuthority) {
  const { certFile, keyFile } = await authority.issue(
    "server",
    "IP:127.0.0.1",
  );
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(certFile),
    key: await Deno.readTextFile(keyFile),
  });
  const serving = (async () => {
    for await (const connection of listener) {
      // A client that does not trust it ends the handshake.
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

async function connect(
  authority: TestAuthority,
  port: number,
): Promise<Socket> {
  const ca = await Deno.readTextFile(authority.caFile);
  return relayTls({ host: "127.0.0.1", port, ca });
}

Deno.test("what goes into the relay comes out of TLS, in both directions, and the end too", async () => {
  await using authority = await TestAuthority.make();
  await using server = await echoServer(authority);
  const socket = await connect(authority, server.port);
  const sent = crypto.getRandomValues(new Uint8Array(50_000));
  socket.write(sent);
  const received: number[] = [];
  for await (const bytes of socket) {
    received.push(...bytes as Uint8Array);
    if (received.length === sent.length) break;
  }
  assertEquals(Uint8Array.from(received), sent);
  socket.destroy();
});

Deno.test("a server that is not trusted is the socket's error", async () => {
  await using authority = await TestAuthority.make();
  await using stranger = await TestAuthority.make();
  await using server = await echoServer(authority);
  const socket = await connect(stranger, server.port);
  const [error] = await once(socket, "error");
  assertMatch(`${error}`, /certificate|verify|issuer/i);
});

Deno.test("nobody else speaks through the relay", async () => {
  await using authority = await TestAuthority.make();
  await using server = await echoServer(authority);
  const socket = await connect(authority, server.port);
  await once(socket, "connect");
  const port = socket.remotePort!;
  socket.write("own");
  await once(socket, "data");
  const foreign = await Deno.connect({ hostname: "127.0.0.1", port }).then(
    (connection) => {
      connection.close();
      return "connected";
    },
    () => "refused",
  );
  assertEquals(foreign, "refused");
  socket.destroy();
});
