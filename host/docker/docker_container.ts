/**
 * A container of this host's Docker, by its name.
 *
 * @module
 */

import * as v from "valibot";
import { type Ipv4, parseIpv4 } from "../../net/ipv4.ts";
import { type AskEngine, askEngine, isEngineRunning } from "./engine.ts";

/** What Docker says of it. */
export interface DockerContainer {
  readonly name: string;
  readonly isRunning: boolean;
  /** Of its networks; none while it does not run, and with the host's network. */
  readonly addresses: readonly Ipv4[];
}

const containerSchema = v.object({
  Name: v.string(),
  State: v.object({ Running: v.boolean() }),
  NetworkSettings: v.object({
    Networks: v.nullish(
      v.record(v.string(), v.object({ IPAddress: v.nullish(v.string()) })),
    ),
  }),
});

/**
 * `undefined` if there is none of that name or id, or no Docker runs: a question
 * would start it.
 *
 * @throws if this user may not ask.
 */
export async function findDockerContainer(
  name: string,
  ask: AskEngine = askEngine,
  isRunning: () => Promise<boolean> = isEngineRunning,
): Promise<DockerContainer | undefined> {
  if (!await isRunning()) return undefined;
  const answer = await ask(`/containers/${encodeURIComponent(name)}/json`);
  return parseDockerContainer(answer);
}

/** Docker answers with a message if there is none. */
export function parseDockerContainer(
  answer: unknown,
): DockerContainer | undefined {
  if (!v.is(containerSchema, answer)) return undefined;
  return {
    name: answer.Name.replace(/^\//, ""),
    isRunning: answer.State.Running,
    addresses: Object.values(answer.NetworkSettings.Networks ?? {})
      .map(({ IPAddress }) => parseIpv4(IPAddress ?? ""))
      .filter((address) => address !== undefined),
  };
}
