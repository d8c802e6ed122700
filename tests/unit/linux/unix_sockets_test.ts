import { assertEquals } from "@std/assert";
import { NamespaceLock } from "../../../linux/namespace_lock.ts";
import {
  abstractSockets,
  parseProcNetUnix,
} from "../../../linux/unix_sockets.ts";

Deno.test("a socket is listed with its name, inode and user, whatever the name holds", () => {
  const name = `loden-test-${crypto.randomUUID()}\n0: 1 2 3 1 1 7 @other`;
  using lock = NamespaceLock.acquire(name)!;
  assertEquals(
    abstractSockets().filter((socket) => socket.name === name),
    [{ name, inode: lock.inode, uid: 0 }],
  );
});

Deno.test("/proc/net/unix has abstract names after an @, and no users", () => {
  const text = [
    "Num       RefCount Protocol Flags    Type St Inode Path",
    "00000000aed950a7: 00000002 00000000 00000000 0002 01  1050 @loden/a",
    "00000000eac1c563: 00000003 00000000 00000000 0001 03 953338",
    "00000000eac1c563: 00000003 00000000 00010000 0001 01 95 /run/a.sock",
    "",
  ].join("\n");
  assertEquals(parseProcNetUnix(text), [
    { name: "loden/a", inode: 1050, uid: undefined },
  ]);
});
