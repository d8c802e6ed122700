import { assertEquals } from "@std/assert";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import type { ListenOptions } from "../../../../agent/monitor/monitor.ts";
import { monitorRoute } from "../../../../agent/monitor/monitor_route.ts";
import { StatusServer } from "../../../../agent/status/status_server.ts";

const NOBODY = 65_534;
const REQUEST = "GET /monitor HTTP/1.1\\r\\n\\r\\n";

/** A server of the route, and what listeners were given. */
class World implements AsyncDisposable {
  /** Where another user may go: the tests' own directory is not open to any. */
  readonly directory = Deno.makeTempDirSync({ dir: "/tmp" });
  readonly paths = instancePaths(this.directory, "/a");
  readonly asked: boolean[] = [];
  readonly server = StatusServer.start(
    this.paths,
    new Map(),
    new Map([[
      "/monitor",
      monitorRoute({
        listen: ({ bytes }: ListenOptions) => {
          this.asked.push(bytes);
          return {
            next: () => Promise.resolve(undefined),
            [Symbol.dispose]: () => {},
          };
        },
      }, this.paths.socket),
    ]]),
  );

  /** Asks from a process of a user. */
  async ask(uid: number): Promise<void> {
    const { success } = await new Deno.Command("setpriv", {
      args: [
        ...[`--reuid=${uid}`, "--clear-groups", "perl", "-MSocket", "-e"],
        "socket(S, AF_UNIX, SOCK_STREAM, 0) && " +
        "connect(S, sockaddr_un($ARGV[0])) || die $!; " +
        `syswrite(S, "${REQUEST}"); 1 while sysread(S, $_, 100)`,
        this.paths.socket,
      ],
    }).output();
    assertEquals(success, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await Deno.remove(this.directory, { recursive: true });
  }
}

Deno.test("root gets the bytes of packets, and another user does not, even if the socket lets it in", async () => {
  await using world = new World();
  await world.ask(0);
  await Deno.chmod(world.directory, 0o755);
  await Deno.chmod(world.paths.socket, 0o666);
  await world.ask(NOBODY);
  assertEquals(world.asked, [true, false]);
});

Deno.test("only GET and HEAD are answered", async () => {
  await using world = new World();
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: world.paths.socket },
  });
  const response = await fetch("http://127.0.0.1/monitor", {
    client,
    method: "POST",
  });
  assertEquals([response.status, await response.text()], [405, "only GET\n"]);
  assertEquals(world.asked, []);
});
