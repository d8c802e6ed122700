/**
 * `loden docker-network`.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import { UsageError } from "../config/errors.ts";
import {
  createDockerNetwork,
  dockerNetworkCommand,
} from "../host/docker/docker_network.ts";
import { DockerNetworkError } from "../host/errors.ts";
import { readSubnetEnv, type SubnetEnv } from "../host/subnet_env.ts";
import { systemClock } from "../linux/clock.ts";
import { type CommandRunner, HostCommandRunner } from "../linux/command.ts";
import type { CommandContext } from "./command.ts";
import { isSet, readCommandLine, readSettings } from "./command_line.ts";
import { Progress } from "./terminal/progress.ts";

const DEFAULT_NAME = "loden";

/** Prints or runs the command that creates a network on the lease. */
export async function run(
  io: CommandContext,
  runner: CommandRunner = new HostCommandRunner(),
): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const name = onlyName(line.words);
  const { subnetFile } = await readSettings(io, line);
  const env = complete(await readSubnetEnv(subnetFile), subnetFile);
  const command = dockerNetworkCommand(name, env);
  if (!isSet(line, "run")) {
    io.stdout(`${command.join(" ")}\n`);
    return exitCodes.ok;
  }
  const { signal } = new AbortController();
  using progress = new Progress(io, systemClock);
  progress.say(`waiting for Docker to create the network ${name}`);
  const isNew = await createDockerNetwork(runner, name, env, signal);
  progress.say(undefined);
  io.stdout(`network ${name} ${isNew ? "is created" : "exists already"}\n`);
  return exitCodes.ok;
}

function onlyName(words: readonly string[]): string {
  const [name = DEFAULT_NAME, ...rest] = words;
  if (rest.length === 0) return name;
  throw new UsageError(
    "usage.docker-network",
    "Cannot create a Docker network: it must have one name: current words are " +
      words.join(" "),
  );
}

function complete(env: Partial<SubnetEnv>, path: string): SubnetEnv {
  const { network, subnet, mtuBytes, ipMasq } = env;
  if (
    network === undefined || subnet === undefined || mtuBytes === undefined ||
    ipMasq === undefined
  ) {
    throw new DockerNetworkError(
      `${path} must name the network, the subnet, the MTU and the masquerade`,
      { hint: "start the agent first: it writes the file" },
    );
  }
  return { network, subnet, mtuBytes, ipMasq };
}
