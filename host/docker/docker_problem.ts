/**
 * Problems on Docker's side that separate this host's containers from the
 * overlay.
 *
 * @module
 */

/** One finding; at most one of each code is up at a time. */
export interface DockerProblem {
  /**
   * `docker.bridge-elsewhere`: the containers have no overlay addresses.
   * `docker.bridge-foreign`: they have overlay addresses that belong to another
   * host or are not leased. `docker.drops-overlay`: the daemon's own rules drop
   * packets from other hosts. `docker.options-stale`: a file from which Docker
   * may be started names another host's subnet.
   */
  readonly code: DockerProblemCode;
  /** What is wrong, for an operator. */
  readonly text: string;
  /** The command that solves it. */
  readonly fix: string;
}

/** All codes, in the order of the checks. */
export const DOCKER_PROBLEM_CODES = [
  "docker.options-stale",
  "docker.bridge-elsewhere",
  "docker.bridge-foreign",
  "docker.drops-overlay",
] as const;

/** One of them. */
export type DockerProblemCode = typeof DOCKER_PROBLEM_CODES[number];
