import { assertEquals, assertRejects } from "@std/assert";
import {
  FileOfOtherAgentError,
  NetworkOfOtherAgentError,
} from "../../../../agent/errors.ts";
import { writeFootprint } from "../../../../agent/instance/footprint.ts";
import { instancePaths } from "../../../../agent/instance/instance.ts";
import { InstanceLock } from "../../../../agent/instance/instance_lock.ts";
import {
  refuseFilesOfOthers,
  refuseNetworkOfOthers,
} from "../../../../agent/instance/other_agents.ts";
import { parseCidr } from "../../../../net/cidr.ts";

const PREFIX = "/one";
const FILE = "/run/flannel/subnet.env";

async function withOtherAgent(
  isRunning: boolean,
  test: (runDir: string) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir();
  try {
    const paths = instancePaths(runDir, PREFIX);
    await writeFootprint(paths, {
      network: parseCidr("10.1.0.0/16")!,
      subnet: parseCidr("10.1.5.0/24")!,
      files: [FILE],
    });
    using _lock = isRunning ? InstanceLock.acquire(paths, PREFIX) : undefined;
    await test(runDir);
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("an agent refuses a file that a running agent of another network writes, and names both", async () => {
  await withOtherAgent(true, async (runDir) => {
    const error = await assertRejects(
      () => refuseFilesOfOthers(instancePaths(runDir, "/two"), ["/x", FILE]),
      FileOfOtherAgentError,
    );
    assertEquals(
      error.message,
      `Cannot run the agent: ${FILE} must be written by one agent only: ` +
        `process ${Deno.pid}, the agent of one, also writes it`,
    );
  });
});

Deno.test("the file of an agent that has stopped, an agent's own file and other files are no hindrance", async () => {
  await withOtherAgent(
    false,
    (runDir) => refuseFilesOfOthers(instancePaths(runDir, "/two"), [FILE]),
  );
  await withOtherAgent(true, async (runDir) => {
    await refuseFilesOfOthers(instancePaths(runDir, PREFIX), [FILE]);
    await refuseFilesOfOthers(instancePaths(runDir, "/two"), ["/x"]);
  });
});

Deno.test("an agent refuses a network that overlaps that of a running agent, and names both", async () => {
  await withOtherAgent(true, async (runDir) => {
    const paths = instancePaths(runDir, "/two");
    const error = await assertRejects(
      () => refuseNetworkOfOthers(paths, parseCidr("10.0.0.0/8")!),
      NetworkOfOtherAgentError,
    );
    assertEquals(
      error.message,
      "Cannot run the agent: the network 10.0.0.0/8 must not overlap " +
        `another one on this host: one has 10.1.0.0/16 (process ${Deno.pid})`,
    );
    await refuseNetworkOfOthers(paths, parseCidr("10.2.0.0/16")!);
  });
});

Deno.test("the network of an agent that has stopped, and a run directory that is gone, are no hindrance", async () => {
  const network = parseCidr("10.1.0.0/16")!;
  await withOtherAgent(
    false,
    (runDir) => refuseNetworkOfOthers(instancePaths(runDir, "/two"), network),
  );
  await refuseNetworkOfOthers(instancePaths("/run/no-such", "/two"), network);
});
