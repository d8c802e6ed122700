import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { gatherHost } from "../../../../agent/explain/gather_host.ts";
import {
  readRequest,
  resolveFlow,
} from "../../../../commands/explain/explain_request.ts";
import { readCommandLine } from "../../../../commands/command_line.ts";
import { UsageError } from "../../../../config/errors.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";
import { FakeHostReader } from "../../../fakes/fake_host_reader.ts";
import {
  healthyHost,
  HERE,
  ip,
  THERE,
} from "../../agent/explain/explain_world.ts";

function request(...argv: readonly string[]) {
  return readRequest(readCommandLine(new FakeCommandIo(argv).as("explain"))!);
}

Deno.test("without flags the packet is a ping", () => {
  const { port, protocol, sizeBytes, send } = request("10.1.5.2", "10.1.7.2");
  assertEquals([protocol, port, sizeBytes, send], [1, undefined, 84, false]);
});

Deno.test("port 0 is any port", () => {
  const { port, protocol } = request("--port=0", "10.1.5.2", "10.1.7.2");
  assertEquals([protocol, port], [1, undefined]);
});

Deno.test("a port alone means TCP", () => {
  const { port, protocol } = request("--port=80", "10.1.5.2", "10.1.7.2");
  assertEquals([protocol, port], [6, 80]);
});

Deno.test("a command line that says nothing clear is refused", () => {
  for (
    const argv of [
      [],
      ["10.1.5.2"],
      ["10.1.5.2", "10.1.7.2", "10.1.9.2"],
      ["--proto=icmp", "--port=80", "10.1.5.2", "10.1.7.2"],
      ["--proto=sctp", "10.1.5.2", "10.1.7.2"],
      ["--port=-1", "10.1.5.2", "10.1.7.2"],
      ["--port=65536", "10.1.5.2", "10.1.7.2"],
      ["--size=27", "10.1.5.2", "10.1.7.2"],
    ]
  ) assertThrows(() => request(...argv), UsageError, "", argv.join(" "));
});

const HOST = await gatherHost(healthyHost(HERE, THERE));
const NO_DOCKER = () => Promise.resolve(undefined);

Deno.test("an address of a host is its address in the overlay", async () => {
  const { destination, source } = await resolveFlow(
    request(HERE.publicIp, THERE.publicIp),
    HOST,
    NO_DOCKER,
  );
  assertEquals([source, destination], [ip("10.1.5.0"), ip("10.1.7.0")]);
});

Deno.test("a container's name is its address in the overlay", async () => {
  const { source } = await resolveFlow(
    request("web", "10.1.7.2"),
    HOST,
    () =>
      Promise.resolve({
        name: "web",
        isRunning: true,
        addresses: [ip("172.17.0.2"), ip("10.1.5.9")],
      }),
  );
  assertEquals(source, ip("10.1.5.9"));
});

Deno.test("without an agent a container has its first address", async () => {
  const host = await gatherHost(new FakeHostReader());
  const { source } = await resolveFlow(
    request("web", "10.1.7.2"),
    host,
    () =>
      Promise.resolve({
        name: "web",
        isRunning: true,
        addresses: [ip("172.17.0.2"), ip("10.1.5.9")],
      }),
  );
  assertEquals(source, ip("172.17.0.2"));
});

Deno.test("a word that is nothing is refused, with the reason", async () => {
  const refused = async (
    find: Parameters<typeof resolveFlow>[2],
    hint: string,
  ) => {
    const error = await assertRejects(
      () => resolveFlow(request("web", "10.1.7.2"), HOST, find),
      UsageError,
    );
    assertEquals(`${error.message} ${error.hint}`.includes(hint), true);
  };
  await refused(NO_DOCKER, "no container of that name");
  await refused(
    () => Promise.reject(new Deno.errors.PermissionDenied("not you")),
    "not you",
  );
  await refused(
    () => Promise.resolve({ name: "web", isRunning: false, addresses: [] }),
    "does not run",
  );
  await refused(
    () => Promise.resolve({ name: "web", isRunning: true, addresses: [] }),
    "without a network of its own",
  );
});
