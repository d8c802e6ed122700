/**
 * Writes the leases of many hosts: `write_leases.ts <endpoint> <prefix> <count>`.
 *
 * @module
 */

import { LeaseWriter } from "../../../tests/support/many_leases.ts";

const [endpoint, prefix, count] = Deno.args as [string, string, string];
using writer = new LeaseWriter(endpoint, prefix);
await writer.writeMany(Number(count), AbortSignal.timeout(60_000));
