import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { once } from "node:events";
import type { Socket } from "node:net";
import { isFrom, relayTls } from "../../deno27/tls_relay.ts";
import { TestAuthority } from "../support/certificates.ts";

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

Deno.test("a connection is the client's own by address and port", () => {
  const client = { localAddress: "127.0.0.1", localPort: 40_000 };
  const from = (hostname: string, port: number) =>
    isFrom({ transport: "tcp", hostname, port }, client);
  assert(from("127.0.0.1", 40_000));
  // Another user can bind the same port of another address of the loopback.
  assert(!from("127.0.0.2", 40_000));
  assert(!from("127.0.0.1", 40_001));
});

Deno.test("another client that connects first is rejected, and nothing of it reaches the TLS server", async () => {
  await using authority = await TestAuthority.make();
  await using server = await echoServer(authority);
  const ca = await Deno.readTextFile(authority.caFile);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using stranger = await Deno.connect({
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  await stranger.write(new TextEncoder().encode("stranger"));
  const socket = relayTls(
    { host: "127.0.0.1", port: server.port, ca },
    listener,
  );
  socket.write("own");
  const [answer] = await once(socket, "data", {
    signal: AbortSignal.timeout(5_000),
  });
  assertEquals(`${answer}`, "own");
  assertEquals(await readOrReset(stranger), null);
  socket.destroy();
});

Deno.test("after the client's connection the relay takes no other", async () => {
  await using authority = await TestAuthority.make();
  await using server = await echoServer(authority);
  const socket = await connect(authority, server.port);
  await once(socket, "connect");
  const port = socket.remotePort!;
  socket.write("own");
  await once(socket, "data");
  await assertRejects(
    () => Deno.connect({ hostname: "127.0.0.1", port }),
    Deno.errors.ConnectionRefused,
  );
  socket.destroy();
});

/** `null` when the other end has closed, with or without an unread byte. */
async function readOrReset(connection: Deno.Conn): Promise<number | null> {
  try {
    return await connection.read(new Uint8Array(16));
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionReset) return null;
    throw error;
  }
}
