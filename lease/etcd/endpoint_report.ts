/**
 * What one endpoint of etcd is like for this host. Nothing is written.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { RegistryError } from "../errors.ts";
import {
  configKey,
  livenessProbePrefix,
  subnetsPrefix,
} from "../lease_codec.ts";
import { EtcdCluster } from "./cluster.ts";
import type { EtcdCalls } from "./connection.ts";
import type { TlsFiles } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EtcdAccount } from "./password.ts";
import { nameRight, type Right } from "./rights.ts";
import { endOfPrefix, neverPut } from "./transactions.ts";
import { askWeb, type WebAnswers } from "./web_answers.ts";

/** See the module. */
export interface EndpointReport extends WebAnswers {
  /** `http://192.0.2.1:2379`. */
  readonly url: string;
  /** Why it cannot be used. */
  readonly failure?: RegistryError;
  /** One read, on an open connection, with the cluster's agreement. */
  readonly latencyMs?: number;
  /** Rights that the account lacks, each with the command that grants it. */
  readonly denied: readonly RegistryError[];
  /** A role of the account, to which they can be granted. */
  readonly role?: string;
}

/** How to reach it, and what for. */
export interface EndpointQuestion {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles;
  readonly account: EtcdAccount | undefined;
  /** flannel's `--etcd-prefix`. */
  readonly prefix: string;
  readonly deadlineMs: number;
}

/** Asks one endpoint, and no other in its place. */
export async function reportEndpoint(
  question: EndpointQuestion,
  signal: AbortSignal,
): Promise<EndpointReport> {
  const { account, deadlineMs, endpoint, tls } = question;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  const web = askWeb(endpoint, tls, limited);
  const cluster = new EtcdCluster({
    endpoints: [endpoint],
    tls,
    account,
    deadlineMs,
  });
  try {
    const asked = await askCluster(cluster, question, signal);
    return { url: endpoint.url, ...asked, ...await web };
  } finally {
    cluster.close();
  }
}

type Asked = Pick<
  EndpointReport,
  "denied" | "failure" | "latencyMs" | "role"
>;

async function askCluster(
  cluster: EtcdCluster,
  { account, prefix }: EndpointQuestion,
  signal: AbortSignal,
): Promise<Asked> {
  const attempt = async (
    what: string,
    right: Right,
    call: (calls: EtcdCalls) => Promise<unknown>,
  ): Promise<RegistryError | undefined> => {
    try {
      await cluster.run(
        { what, signal, repeatable: true },
        (connection, limits) => call(connection.calls(limits)),
      );
      return undefined;
    } catch (error) {
      const named = nameRight(error, what, right);
      if (named instanceof RegistryError) return named;
      throw named;
    }
  };
  const config = configKey(prefix);
  const leases = subnetsPrefix(prefix);
  const liveness = livenessProbePrefix(prefix);
  const readConfig = () =>
    attempt(
      "read the network config",
      { access: "read", key: config, isPrefix: false },
      ({ kv }) => kv.range({ key: Buffer.from(config) }),
    );
  const write = (what: string, prefix: string) =>
    attempt(
      what,
      { access: "readwrite", key: prefix, isPrefix: true },
      ({ kv }) => kv.txn(neverPut(`${prefix}loden-doctor`)),
    );
  // It opens the connection, which takes longer.
  const first = await readConfig();
  if (first !== undefined && first.fault !== "permission") {
    return { failure: first, denied: [] };
  }
  const sentMs = performance.now();
  await readConfig();
  const latencyMs = performance.now() - sentMs;
  const others = await Promise.all([
    attempt(
      "list the leases",
      { access: "read", key: leases, isPrefix: true },
      ({ kv }) =>
        kv.range({
          key: Buffer.from(leases),
          range_end: Buffer.from(endOfPrefix(leases)),
          limit: 1,
          keys_only: true,
        }),
    ),
    write("write leases", leases),
    write("answer liveness probes", liveness),
  ]);
  const errors = [first, ...others].filter((error) => error !== undefined);
  const failure = errors.find(({ fault }) => fault !== "permission");
  const denied = errors.filter(({ fault }) => fault === "permission");
  const role = denied.length === 0 || account === undefined
    ? undefined
    : await roleOf(cluster, account, signal);
  return {
    ...failure === undefined ? {} : { failure },
    latencyMs,
    denied,
    ...role === undefined ? {} : { role },
  };
}

/** A name that a shell takes for one word: it is pasted into a command. */
const PLAIN = /^[\w.-]+$/;

/** etcd tells everyone about their own account. */
async function roleOf(
  cluster: EtcdCluster,
  { username }: EtcdAccount,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { roles } = await cluster.run(
      { what: "read the account", signal, repeatable: true },
      (connection, limits) =>
        connection.calls(limits).auth.userGet({ name: username }),
    );
    return roles.find((role) => PLAIN.test(role));
  } catch (error) {
    // Then the command is complete but for the role.
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}
