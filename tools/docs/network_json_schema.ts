/**
 * The published JSON Schema of the network config.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { BACKENDS } from "../../backend/backends.ts";
import { networkSchema } from "../../config/network/network_schema.ts";

/** The schema as JSON text, made from the one that the agent checks with. */
export function renderNetworkSchema(): string {
  const backends = BACKENDS.specs.map(({ options, type }) =>
    v.object({
      Type: v.pipe(
        v.literal(type),
        v.description("how packets are carried; case does not matter"),
      ),
      ...options as v.ObjectEntries,
    })
  );
  const whole = v.object({
    ...networkSchema.entries,
    Backend: v.optional(v.pipe(
      v.union(backends),
      v.description(
        `how packets are carried (default: ${BACKENDS.specs[0]!.type})`,
      ),
    )),
  });
  const schema = {
    ...toJsonSchema(whole, { target: "draft-2020-12" }),
    title: "Network config of Loden and flannel",
    description: "The value of <etcd-prefix>/config. Keys match whatever " +
      "their case, which a JSON Schema cannot say; this one has flannel's " +
      "spelling. What SubnetLen, SubnetMin and SubnetMax mean for one " +
      "another is in docs/configuration.md.",
    examples: [
      { Network: "10.1.0.0/16" },
      {
        Network: "10.1.0.0/16",
        SubnetLen: 28,
        SubnetMin: "10.1.10.0",
        SubnetMax: "10.1.50.0",
      },
    ],
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
