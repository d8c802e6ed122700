/**
 * `loden explain`.
 *
 * @module
 */

import { exitCodes } from "../../agent/exit_codes.ts";
import { askPeer } from "../../agent/explain/ask_client.ts";
import { explain } from "../../agent/explain/explain.ts";
import { gatherHost } from "../../agent/explain/gather_host.ts";
import { hostReader } from "../../agent/explain/kernel_host_reader.ts";
import { type Verdict, verdictOf } from "../../agent/explain/verdict.ts";
import { instancePaths } from "../../agent/instance/instance.ts";
import { fetchStatus } from "../../agent/status/status_client.ts";
import { findDockerContainer } from "../../host/docker/docker_container.ts";
import { systemClock } from "../../linux/clock.ts";
import { KernelRtnetlink } from "../../linux/netlink/kernel_rtnetlink.ts";
import { askAgent } from "../ask_agent.ts";
import type { CommandContext } from "../command.ts";
import { isSet, readCommandLine, readSettings } from "../command_line.ts";
import { Progress } from "../terminal/progress.ts";
import { renderExplanation, toJson } from "./explain_text.ts";
import { readRequest, resolveFlow } from "./explain_request.ts";
import { packetSender } from "./send_packets.ts";

/** Of everything that can wait. */
const LIMIT_MS = 2_800;

const EXIT_CODES: Readonly<Record<Verdict["verdict"], number>> = {
  delivered: exitCodes.ok,
  dropped: exitCodes.failed,
  unknown: exitCodes.undecided,
};

/** Prints what happens to a packet; the exit code says it, too. */
export async function run(io: CommandContext): Promise<number> {
  const line = readCommandLine(io);
  if (line === undefined) return exitCodes.ok;
  const request = readRequest(line);
  const { etcdPrefix, runDir, stateDir } = await readSettings(io, line);
  const paths = instancePaths(runDir, etcdPrefix);
  const signal = AbortSignal.timeout(LIMIT_MS);
  using rtnetlink = new KernelRtnetlink();
  const reader = hostReader(rtnetlink, {
    etcdPrefix,
    paths,
    stateDir,
    status: () => askAgent(paths, fetchStatus, { signal }),
    entersContainers: true,
  });
  using progress = new Progress(io, systemClock);
  progress.say("looking at this host, and asking the other one");
  const host = await gatherHost(reader);
  const flow = await resolveFlow(request, host, findDockerContainer);
  const findings = await explain(
    {
      reader,
      askPeer: ({ subnet }, question, signal) =>
        askPeer(paths.socket, subnet, question, signal),
      ...request.send && { sender: packetSender },
    },
    host,
    flow,
    signal,
  );
  progress.say(undefined);
  const explanation = { flow, findings, host, verdict: verdictOf(findings) };
  io.stdout(
    isSet(line, "json")
      ? `${JSON.stringify(toJson(explanation))}\n`
      : renderExplanation(explanation, io.terminal()),
  );
  return EXIT_CODES[explanation.verdict.verdict];
}
