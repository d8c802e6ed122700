/**
 * Names and paths of one agent: one network (etcd prefix) on one host.
 *
 * @module
 */

import { fnv1a } from "../../net/fnv1a.ts";

const PLAIN = /^[A-Za-z0-9_.]$/;
const LONGEST_NAME = 60;

/** Where other programs on the host find an agent. */
export interface InstancePaths {
  /** The instance's name: the etcd prefix as a file name. */
  readonly name: string;
  readonly runDir: string;
  /** The status socket, HTTP over unix. */
  readonly socket: string;
  /** Locked (flock) while the agent runs; holds its process id. */
  readonly lock: string;
}

/**
 * The etcd prefix as a file name, one to one: `/coreos.com/network` is
 * `coreos.com-network`, as `systemd-escape --path` writes it; bytes other than
 * letters, digits, `_` and `.` become `%XX`. Long prefixes are cut and get a
 * hash, because the path of a unix socket has at most 107 bytes.
 */
export function instanceName(etcdPrefix: string): string {
  const segments = etcdPrefix.split("/").filter((segment) => segment !== "");
  const name = segments.map(escapeSegment).join("-") || "-";
  return name.length <= LONGEST_NAME
    ? name
    : `${name.slice(0, LONGEST_NAME - 9)}-${fnv1a(name)}`;
}

/** The paths of the agent that serves `etcdPrefix`. */
export function instancePaths(
  runDir: string,
  etcdPrefix: string,
): InstancePaths {
  const name = instanceName(etcdPrefix);
  return {
    name,
    runDir,
    socket: `${runDir}/${name}.sock`,
    lock: `${runDir}/${name}.lock`,
  };
}

/** Where that agent keeps state that survives a reboot. */
export function stateFile(stateDir: string, name: string): string {
  return `${stateDir}/${name}.json`;
}

/** Where that agent keeps its private key, in networks whose backend has one. */
export function keyFile(stateDir: string, name: string): string {
  return `${stateDir}/${name}.key`;
}

function escapeSegment(segment: string): string {
  let escaped = "";
  for (const byte of new TextEncoder().encode(segment)) {
    const character = String.fromCharCode(byte);
    // A leading dot would hide the file, and ".." would leave the directory.
    escaped += PLAIN.test(character) && !(escaped === "" && character === ".")
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
