/**
 * Writes the leases of many hosts, or writes them again with other addresses:
 * `write_leases.ts <endpoint> <prefix> <count> [<backend type> [<moved>]]`.
 *
 * @module
 */

import { LeaseWriter } from "../../../tests/support/many_leases.ts";

const [endpoint, prefix, count, backendType = "udp", moved = "0"] = Deno
  .args as [string, string, string, string?, string?];
using writer = new LeaseWriter(endpoint, prefix);
await writer.writeMany(
  Number(count),
  AbortSignal.timeout(60_000),
  backendType,
  Number(moved),
);
