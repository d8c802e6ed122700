import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  DOCKER_OPTS_USAGE,
  makeDockerOpts,
  parseDockerOptsArguments,
  writeDockerOpts,
} from "../../../../host/docker/docker_opts_command.ts";
import { DockerOptsError } from "../../../../host/errors.ts";
import { FileWriteError } from "../../../../linux/file_errors.ts";

const DEFAULTS = {
  subnetFile: "/run/flannel/subnet.env",
  outputFile: "/run/docker_opts.env",
  content: {
    individual: true,
    combined: true,
    combinedKey: "DOCKER_OPTS",
    ipMasq: true,
  },
};

Deno.test("without options both forms are made from the usual files", () => {
  assertEquals(parseDockerOptsArguments([]), DEFAULTS);
});

Deno.test("-i or -c alone leaves the other form out, and both ask for both", () => {
  const forms = (...words: string[]) => {
    const { individual, combined } = parseDockerOptsArguments(words).content;
    return [individual, combined];
  };
  assertEquals(forms("-i"), [true, false]);
  assertEquals(forms("-c"), [false, true]);
  assertEquals(forms("-i", "-c"), [true, true]);
  assertEquals(forms("-ic"), [true, true]);
});

Deno.test("values may be joined to their option or follow it", () => {
  assertEquals(
    parseDockerOptsArguments(["-mf", "/a", "-d/b", "-kOPTS", "-c"]),
    {
      subnetFile: "/a",
      outputFile: "/b",
      content: {
        individual: false,
        combined: true,
        combinedKey: "OPTS",
        ipMasq: false,
      },
    },
  );
});

Deno.test("reading ends at the first other word and at --", () => {
  assertEquals(parseDockerOptsArguments(["x", "-z"]), DEFAULTS);
  assertEquals(parseDockerOptsArguments(["--", "-z"]), DEFAULTS);
  assertEquals(parseDockerOptsArguments(["-", "-z"]), DEFAULTS);
});

for (
  const words of [["-z"], ["-f"], ["-d", ""], ["-iz"], ["--help"], ["-h"], [
    "-?",
  ], [
    "-k",
    "a b",
  ]]
) {
  Deno.test(`${words.join(" ")} is answered with the usage`, () => {
    const error = assertThrows(
      () => parseDockerOptsArguments(words),
      DockerOptsError,
    );
    assertEquals(error.usage, DOCKER_OPTS_USAGE);
  });
}

Deno.test("the file's variables go over the environment's, as if sourced", async () => {
  const text = await makeDockerOpts(
    parseDockerOptsArguments(["-c", "-f", "/subnet.env"]),
    { FLANNEL_MTU: "1", DOCKER_OPTS: "--x", DOCKER_OPT_Y: "--y" },
    (path) => {
      assertEquals(path, "/subnet.env");
      return Promise.resolve("FLANNEL_MTU=1472\n");
    },
  );
  assertEquals(text, `DOCKER_OPTS="--x  --mtu=1472 --y"\n`);
});

Deno.test("a missing file leaves the environment's variables", async () => {
  assertEquals(
    await makeDockerOpts(
      parseDockerOptsArguments(["-i", "-f", "/nonexistent/subnet.env"]),
      { FLANNEL_MTU: "1400" },
    ),
    `DOCKER_OPT_MTU="--mtu=1400"\n`,
  );
});

Deno.test("a file that cannot be read is named", async () => {
  await assertRejects(
    () => makeDockerOpts(parseDockerOptsArguments(["-f", "/proc"]), {}),
    DockerOptsError,
    "Cannot read /proc: Is a directory",
  );
});

Deno.test("the output replaces a file and is written into a device", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await writeDockerOpts(`${directory}/out`, "A\n");
    assertEquals(await Deno.readTextFile(`${directory}/out`), "A\n");
    await writeDockerOpts("/dev/null", "A\n");
    assert((await Deno.stat("/dev/null")).isCharDevice);
    const error = await assertRejects(
      () => writeDockerOpts("/dev/full", "A\n"),
      FileWriteError,
    );
    assertEquals(error.reason, "ENOSPC");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
