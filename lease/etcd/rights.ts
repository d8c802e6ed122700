/**
 * Which right in etcd an operation needs.
 *
 * @module
 */

import { RegistryError } from "../errors.ts";

/** One permission of a role. */
export interface Right {
  readonly access: "read" | "readwrite";
  readonly key: string;
  /** Whether it is for all keys that begin so. */
  readonly isPrefix: boolean;
}

/** The same error; one about a missing permission says which command grants it. */
export function nameRight(
  error: unknown,
  what: string,
  { access, key, isPrefix }: Right,
): unknown {
  if (!(error instanceof RegistryError) || error.fault !== "permission") {
    return error;
  }
  const { endpoints, detail, uncertain } = error;
  const prefix = isPrefix ? "--prefix " : "";
  return new RegistryError("permission", what, {
    endpoints,
    detail,
    uncertain,
    cause: error,
    hint:
      `grant the right: etcdctl role grant-permission ROLE ${access} ${prefix}${key}`,
  });
}
