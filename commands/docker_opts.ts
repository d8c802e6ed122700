/**
 * `loden docker-opts`: mk-docker-opts.sh, with its options and exit codes.
 *
 * @module
 */

import { exitCodes } from "../agent/exit_codes.ts";
import { findRouteAway } from "../host/docker/docker_opts.ts";
import {
  makeDockerOpts,
  parseDockerOptsArguments,
  writeDockerOpts,
} from "../host/docker/docker_opts_command.ts";
import { DockerOptsError } from "../host/errors.ts";
import { readSubnetEnv } from "../host/subnet_env.ts";
import { KernelRtnetlink } from "../linux/netlink/kernel_rtnetlink.ts";
import { formatCidr } from "../net/cidr.ts";
import { formatIpv4 } from "../net/ipv4.ts";
import type { CommandIo } from "./command.ts";
import { printError } from "./failure.ts";

/** Writes Docker's options. Every error exits with the script's code, 1. */
export async function run(io: CommandIo): Promise<number> {
  try {
    const options = parseDockerOptsArguments(io.argv);
    const text = await makeDockerOpts(options, io.env);
    await writeDockerOpts(options.outputFile, text);
    await checkRoutes(options.subnetFile);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof DockerOptsError) || error.usage === undefined) {
      throw error;
    }
    printError(io, error);
    io.stderr(error.usage);
    return exitCodes.failed;
  }
}

/** The script's last check: it comes after the file is written (compat 5). */
async function checkRoutes(subnetFile: string): Promise<void> {
  const { subnet } = await readSubnetEnv(subnetFile);
  if (subnet === undefined) return;
  using rtnetlink = new KernelRtnetlink();
  const away = findRouteAway(subnet, rtnetlink.routes());
  if (away === undefined) return;
  throw new DockerOptsError(
    `Cannot use the options: ${
      formatCidr(subnet)
    } must be on Docker's bridge: ` +
      `a route sends it through ${formatIpv4(away.gateway!)}`,
    { hint: `remove it: ip route del ${formatCidr(subnet)}` },
  );
}
