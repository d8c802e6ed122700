import { assert, assertEquals, assertThrows } from "@std/assert";
import { SystemCallError } from "../../../linux/errno.ts";
import { addressOf, checked, libc } from "../../../linux/libc.ts";
import {
  encodeSocketAddress,
  sendUnixDatagram,
} from "../../../linux/unix_datagram.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A bound datagram socket of the kernel's, whose queue a test reads. */
function receiver(address: string): Disposable & { read(): string } {
  const socketAddress = encodeSocketAddress(address);
  const socket = checked(libc().socket(1, 2, 0), "make a socket");
  checked(
    libc().bind(socket, addressOf(socketAddress), socketAddress.byteLength),
    "bind",
  );
  return {
    read() {
      const buffer = new Uint8Array(4096);
      const MSG_DONTWAIT = 0x40;
      const length = checked(
        libc().recv(socket, addressOf(buffer), buffer.length, MSG_DONTWAIT),
        "receive",
      );
      return new TextDecoder().decode(buffer.subarray(0, length));
    },
    [Symbol.dispose]: () => libc().close(socket),
  };
}

Deno.test("a path is encoded with its NUL, an abstract name without", () => {
  const family = [...new Uint8Array(Uint16Array.of(1).buffer)];
  assertEquals([...encodeSocketAddress("/a")], [...family, 0x2f, 0x61, 0]);
  assertEquals([...encodeSocketAddress("@ab")], [...family, 0, 0x61, 0x62]);
});

Deno.test("an address that no unix socket can have is refused", () => {
  assertThrows(() => encodeSocketAddress("vsock:2:1"), RangeError, "vsock:2:1");
  assertThrows(() => encodeSocketAddress("/" + "x".repeat(107)), RangeError);
  assertEquals(encodeSocketAddress("/" + "x".repeat(106)).length, 110);
  assertEquals(encodeSocketAddress("@" + "x".repeat(107)).length, 110);
});

for (const kind of ["path", "abstract"]) {
  Deno.test(`a datagram reaches a socket by its ${kind} name`, async () => {
    const directory = await Deno.makeTempDir();
    try {
      const address = kind === "path"
        ? `${directory}/notify`
        : `@loden-test-${crypto.randomUUID()}`;
      using socket = receiver(address);
      sendUnixDatagram(address, bytes("READY=1"), 100);
      assertEquals(socket.read(), "READY=1");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("a socket that is not there is an error with the kernel's reason", () => {
  const error = assertThrows(
    () => sendUnixDatagram("/nonexistent/notify", bytes("x"), 100),
    SystemCallError,
    "Cannot send to the socket /nonexistent/notify: the kernel answered ENOENT",
  );
  assertEquals(error.code, "linux.ENOENT");
});

Deno.test("a receiver that does not read holds the sender for a bounded time", () => {
  const address = `@loden-test-${crypto.randomUUID()}`;
  using _socket = receiver(address);
  const begin = performance.now();
  const error = assertThrows(() => {
    for (;;) sendUnixDatagram(address, bytes("x"), 50);
  }, SystemCallError);
  assertEquals(error.code, "linux.EAGAIN");
  assert(performance.now() - begin < 2000);
});

Deno.test("without patience a full queue is an error at once", () => {
  const address = `@loden-test-${crypto.randomUUID()}`;
  using _socket = receiver(address);
  // One that waited would wait for ever.
  const error = assertThrows(() => {
    for (;;) sendUnixDatagram(address, bytes("x"), 0);
  }, SystemCallError);
  assertEquals(error.code, "linux.EAGAIN");
});
