/**
 * Words that occur in a bundle with a meaning of their own.
 *
 * @module
 */

/**
 * If a user or a host has such a name, it is not replaced everywhere: the text
 * could not be understood any more, and the word gives nothing away.
 */
export const ORDINARY_WORDS: ReadonlySet<string> = new Set([
  "agent",
  "bridge",
  "client",
  "debian",
  "default",
  "docker",
  "etcd",
  "flannel",
  "flanneld",
  "host",
  "kernel",
  "link",
  "linux",
  "local",
  "localhost",
  "loden",
  "network",
  "peer",
  "root",
  "server",
  "system",
  "user",
]);
