/**
 * What the process's exit code says: the one table, also in `docs/cli.md`.
 *
 * @module
 */

/** Exit codes of every `loden` command. They are an interface: never renumber. */
export const exitCodes = {
  /** Done; for the agent: stopped by a signal, in order. */
  ok: 0,
  /** Failed for a reason that waiting cannot cure; the last line says which. */
  failed: 1,
  /** A flag, an environment variable, a file or a word that cannot be right. */
  usage: 2,
  /** `loden status`: no agent runs for this network (as LSB's `status`). */
  notRunning: 3,
  /** Another agent of the same network, or flannel's flanneld, runs on this host. */
  alreadyRunning: 4,
  /** etcd did not give an answer within the time that a command waits. */
  unavailable: 5,
  /** `loden status`: the network is not up yet; `firewall show`: rules are missing. */
  notReady: 6,
  /** `--on-subnet-change=exit`: Docker has to be restarted on another subnet. */
  subnetChanged: 7,
  /** A defect in Loden: an error that nobody expected (EX_SOFTWARE). */
  internal: 70,
} as const;

/** The code of a process that a signal ended at once: 128 + its number. */
export function signalExitCode(signal: "SIGINT" | "SIGTERM"): number {
  return 128 + (signal === "SIGINT" ? 2 : 15);
}
