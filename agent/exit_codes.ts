/**
 * The exit codes; `docs/cli.md` has the same table.
 *
 * @module
 */

/** Exit codes of every `loden` command. They are an interface: never renumber. */
export const exitCodes = {
  /** Success; for the agent: stopped in order by a signal. */
  ok: 0,
  /** Failed, and waiting cannot help; the last line says why. */
  failed: 1,
  /** An invalid flag, environment variable, file or argument. */
  usage: 2,
  /**
   * `loden status`, `metrics`, `monitor`: no agent of this network is running (as
   * in LSB's `status`), or it does not answer.
   */
  notRunning: 3,
  /** Another agent of the same network, or flannel's flanneld, runs on this host. */
  alreadyRunning: 4,
  /** etcd did not answer within the time limit of a command. */
  unavailable: 5,
  /** `loden status`: the network is not up yet; `firewall show`: rules are missing. */
  notReady: 6,
  /**
   * `--on-subnet-change=exit`: Docker must be restarted with another subnet.
   */
  subnetChanged: 7,
  /** `loden explain`: what decides cannot be seen from here. */
  undecided: 8,
  /** A bug in Loden: an unexpected error (EX_SOFTWARE). */
  internal: 70,
} as const;

/**
 * The code of a process that a signal ended at once: 128 + the signal's number.
 */
export function signalExitCode(signal: "SIGINT" | "SIGTERM"): number {
  return 128 + (signal === "SIGINT" ? 2 : 15);
}
