import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { run } from "../../../commands/docker_network.ts";
import { UsageError } from "../../../config/errors.ts";
import { DockerNetworkError } from "../../../host/errors.ts";
import { FakeCommandIo } from "../../fakes/fake_command_io.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../fakes/fake_command_runner.ts";

const SUBNET_ENV = `FLANNEL_NETWORK=10.1.0.0/16
FLANNEL_SUBNET=10.1.5.1/24
FLANNEL_MTU=1472
FLANNEL_IPMASQ=true
`;
const LINE = "docker network create --driver=bridge --subnet=10.1.5.0/24 " +
  "--gateway=10.1.5.1 --opt=com.docker.network.driver.mtu=1472 " +
  "--opt=com.docker.network.bridge.enable_ip_masquerade=false loden";

async function network(
  words: readonly string[],
  { file = SUBNET_ENV, docker }: { file?: string; docker?: FakeProgram } = {},
) {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, file);
  const runner = new FakeCommandRunner(docker === undefined ? {} : { docker });
  const io = new FakeCommandIo([`--subnet-file=${path}`, ...words]);
  try {
    const code = await run(io.as("docker-network"), runner);
    return { code, out: io.out, runs: runner.runs };
  } finally {
    await Deno.remove(path);
  }
}

/** Docker with one network of any name, or with none. */
const dockerWith = (subnet: string | undefined): FakeProgram => (words) =>
  words[1] === "create"
    ? {}
    : subnet === undefined
    ? { code: 1, stderr: "Error response from daemon: network not found" }
    : { stdout: `${subnet} \n` };

Deno.test("the command is printed, and nothing is run", async () => {
  const { code, out, runs } = await network([]);
  assertEquals([code, out, runs], [0, `${LINE}\n`, []]);
});

Deno.test("Docker masquerades where the agent does not", async () => {
  const file = SUBNET_ENV.replace("true", "false");
  const { out } = await network(["apps"], { file });
  assertStringIncludes(out, "enable_ip_masquerade=true apps\n");
});

Deno.test("--run makes the network by just that command", async () => {
  const docker = dockerWith(undefined);
  const { out, runs } = await network(["--run"], { docker });
  assertEquals(out, "network loden is created\n");
  assertEquals(runs.at(-1), LINE);
});

Deno.test("--run leaves a network alone that is as it should be", async () => {
  const docker = dockerWith("10.1.5.0/24");
  const { out, runs } = await network(["--run"], { docker });
  assertEquals(out, "network loden exists already\n");
  assertEquals(runs.length, 1);
});

Deno.test("--run does not touch a network on another subnet, and says what to do", async () => {
  const error = await assertRejects(
    () => network(["--run"], { docker: dockerWith("10.1.9.0/24") }),
    DockerNetworkError,
    "10.1.9.0/24",
  );
  assertEquals(
    error.hint,
    "docker network rm loden, then run this command again",
  );
});

Deno.test("a docker0 on the lease is named as the obstacle", async () => {
  const docker: FakeProgram = () => ({
    code: 1,
    stderr: "Error response from daemon: Pool overlaps with other one",
  });
  const error = await assertRejects(
    () => network(["--run"], { docker }),
    DockerNetworkError,
    "Pool overlaps",
  );
  assertStringIncludes(error.hint!, "docker0 is on the lease");
});

Deno.test("what is missing or cannot be is refused", async () => {
  const refused = (words: string[], file: string, text: string) =>
    assertRejects(() => network(words, { file }), DockerNetworkError, text);
  await refused([], "FLANNEL_SUBNET=10.1.5.1/24\n", "must name the network");
  await refused(["; reboot"], SUBNET_ENV, "letters, digits");
  await refused(["--run"], SUBNET_ENV, "docker must be installed");
  await assertRejects(() => network(["a", "b"]), UsageError);
});
