import { assertEquals } from "@std/assert";
import { connectedUsers } from "../../../linux/peer_credentials.ts";

const NOBODY = 65_534;

Deno.test("connected users are those of the connections to that socket, while they last", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/a.sock`;
  try {
    using listener = Deno.listen({ transport: "unix", path });
    using _other = Deno.listen({ transport: "unix", path: `${directory}/b` });
    assertEquals(connectedUsers(path), []);
    const ours = await Deno.connect({ transport: "unix", path });
    const accepted = await listener.accept();
    assertEquals(connectedUsers(path), [Deno.uid()]);
    assertEquals(connectedUsers(`${directory}/b`), []);
    ours.close();
    accepted.close();
    assertEquals(connectedUsers(path), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a process of another user is told by its own user", async () => {
  // Where another user may go: the tests' own directory is not open to any.
  const directory = await Deno.makeTempDir({ dir: "/tmp" });
  const path = `${directory}/a.sock`;
  try {
    await Deno.chmod(directory, 0o755);
    using listener = Deno.listen({ transport: "unix", path });
    await Deno.chmod(path, 0o666);
    const other = new Deno.Command("setpriv", {
      args: [
        ...[`--reuid=${NOBODY}`, "--clear-groups", "perl", "-MSocket", "-e"],
        "socket(S, AF_UNIX, SOCK_STREAM, 0) && " +
        "connect(S, sockaddr_un($ARGV[0])) || die $!; <STDIN>",
        path,
      ],
      stdin: "piped",
    }).spawn();
    using _accepted = await Promise.race([
      listener.accept(),
      other.status.then(() => {
        throw new Error("the other user's process cannot connect");
      }),
    ]);
    assertEquals(connectedUsers(path), [NOBODY]);
    await other.stdin.close();
    await other.status;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
