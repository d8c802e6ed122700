/**
 * What keeps this host's containers and the overlay apart, on Docker's side.
 *
 * @module
 */

/** One finding; at most one of each code is up at a time. */
export interface DockerProblem {
  /**
   * `docker.bridge-elsewhere`: the containers are on no overlay address.
   * `docker.bridge-foreign`: they are on addresses of the overlay that are
   * another host's, or nobody's. `docker.drops-overlay`: the daemon's own rules
   * drop what comes from other hosts. `docker.options-stale`: a file from which
   * Docker may be started names a subnet that is not this host's.
   */
  readonly code: DockerProblemCode;
  /** What is wrong, for an operator. */
  readonly text: string;
  /** The one command that cures it. */
  readonly fix: string;
}

/** All codes, in the order in which they are looked for. */
export const DOCKER_PROBLEM_CODES = [
  "docker.options-stale",
  "docker.bridge-elsewhere",
  "docker.bridge-foreign",
  "docker.drops-overlay",
] as const;

/** One of them. */
export type DockerProblemCode = typeof DOCKER_PROBLEM_CODES[number];
