/**
 * Every configured endpoint of etcd, each for itself.
 *
 * @module
 */

import type { EndpointReport } from "./etcd/endpoint_report.ts";
import { parseEndpoint } from "./etcd/endpoint.ts";
import { accountOf, type EtcdRegistryOptions } from "./etcd_registry.ts";
import { CALL_DEADLINE_MS } from "./liveness/answer_times.ts";

/** Asks all at the same time. @throws {BadEndpointError} */
export async function readEndpointReports(
  options: EtcdRegistryOptions,
  signal: AbortSignal,
): Promise<readonly EndpointReport[]> {
  const endpoints = options.endpoints.map(parseEndpoint);
  // It loads the gRPC client.
  const { reportEndpoint } = await import("./etcd/endpoint_report.ts");
  return await Promise.all(endpoints.map((endpoint) =>
    reportEndpoint({
      endpoint,
      tls: options.tls ?? {},
      account: accountOf(options),
      prefix: options.prefix,
      deadlineMs: options.deadlineMs ?? CALL_DEADLINE_MS,
    }, signal)
  ));
}
