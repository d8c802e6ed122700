import "../../../../lease/etcd/http2_guard.ts";
import { assertEquals } from "@std/assert";
import http2 from "node:http2";
import { connect } from "node:net";
import { addressOf, libc } from "../../../../linux/libc.ts";

/** netinet/in.h, netinet/tcp.h. */
const [IPPROTO_TCP, TCP_NODELAY] = [6, 1];

Deno.test("an HTTP/2 connection does not hold small pieces back", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const session = http2.connect(`http://127.0.0.1:${port}`, {
    createConnection: () => connect(port, "127.0.0.1"),
  });
  using accepted = await listener.accept();
  try {
    // It sends the first frame when it has connected.
    await accepted.read(new Uint8Array(1));
    const descriptor = descriptorOfPort(accepted.remoteAddr.port);
    assertEquals(socketOption(descriptor, IPPROTO_TCP, TCP_NODELAY), 1);
  } finally {
    session.destroy();
  }
});

/** This process's socket with a local TCP port: proc_net_tcp(5), proc_pid_fd(5). */
function descriptorOfPort(port: number): number {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const fields = Deno.readTextFileSync("/proc/self/net/tcp")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => fields[1]?.endsWith(`:${hexPort}`));
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const path = `/proc/self/fd/${name}`;
    try {
      if (Deno.readLinkSync(path) === `socket:[${fields?.[9]}]`) {
        return Number(name);
      }
    } catch (error) {
      // The directory's own descriptor is gone by now.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`Cannot find the socket with port ${port}`);
}

function socketOption(descriptor: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const length = new Uint32Array([value.byteLength]);
  const result = libc().getsockopt(
    descriptor,
    level,
    name,
    addressOf(value),
    addressOf(length),
  );
  assertEquals(result, 0);
  return value[0]!;
}
