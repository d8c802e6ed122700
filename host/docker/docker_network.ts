/**
 * A Docker network on this host's lease, in place of `docker0`.
 *
 * @module
 */

import {
  CommandMissingError,
  type CommandRunner,
} from "../../linux/command.ts";
import { formatCidr } from "../../net/cidr.ts";
import { DockerNetworkError } from "../errors.ts";
import { type SubnetEnv, subnetVariables } from "../subnet_env.ts";

/** Docker's rule for the name of a network. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/**
 * The command that creates it, word by word. Exactly one of Docker and the
 * agent masquerades, as with the daemon's `--ip-masq`.
 *
 * @throws {DockerNetworkError} for a name that Docker would refuse.
 */
export function dockerNetworkCommand(
  name: string,
  env: SubnetEnv,
): string[] {
  if (!NAME.test(name)) {
    throw new DockerNetworkError(
      "its name must be letters, digits, _, . and -: " +
        `current value is ${JSON.stringify(name)}`,
    );
  }
  const [gateway] = subnetVariables(env).FLANNEL_SUBNET!.split("/");
  return [
    "docker",
    "network",
    "create",
    "--driver=bridge",
    `--subnet=${formatCidr(env.subnet)}`,
    `--gateway=${gateway}`,
    `--opt=com.docker.network.driver.mtu=${env.mtuBytes}`,
    `--opt=com.docker.network.bridge.enable_ip_masquerade=${!env.ipMasq}`,
    name,
  ];
}

/**
 * Creates the network unless it exists on this subnet.
 *
 * @returns whether it was created.
 * @throws {DockerNetworkError} if Docker refuses, or has another network of
 * that name.
 */
export async function createDockerNetwork(
  runner: CommandRunner,
  name: string,
  env: SubnetEnv,
  signal: AbortSignal,
): Promise<boolean> {
  const subnets = await subnetsOf(runner, name, signal);
  const wanted = formatCidr(env.subnet);
  if (subnets?.includes(wanted)) return false;
  if (subnets !== undefined) {
    throw new DockerNetworkError(
      `the network ${name} must be on ${wanted}: it is on ` +
        (subnets.join(" ") || "no subnet"),
      { hint: `docker network rm ${name}, then run this command again` },
    );
  }
  const [command, ...words] = dockerNetworkCommand(name, env);
  const result = await runDocker(runner, [command!, ...words], signal);
  if (result.code === 0) return true;
  throw new DockerNetworkError(
    `docker network create must succeed: exit code ${result.code}: ` +
      result.stderr.trim().split("\n")[0],
    result.stderr.includes("overlaps") ? { hint: OVERLAP_HINT } : {},
  );
}

const OVERLAP_HINT = "docker0 is on the lease: start the agent with " +
  "--docker-opts-file= and Docker without --bip";

/** `undefined` if there is no such network. */
async function subnetsOf(
  runner: CommandRunner,
  name: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  const format = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
  const words = ["docker", "network", "inspect", "--format", format, name];
  const { code, stdout } = await runDocker(runner, words, signal);
  if (code !== 0) return undefined;
  return stdout.split(/\s+/).filter((subnet) => subnet !== "");
}

async function runDocker(
  runner: CommandRunner,
  [command, ...words]: readonly string[],
  signal: AbortSignal,
) {
  try {
    return await runner.run(command!, words, { signal });
  } catch (error) {
    if (!(error instanceof CommandMissingError)) throw error;
    throw new DockerNetworkError("docker must be installed: it is not", {
      cause: error,
    });
  }
}
