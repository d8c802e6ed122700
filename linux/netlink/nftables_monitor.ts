/**
 * The kernel's reports of changed nftables rules, those of iptables on nf_tables
 * included. It reports no change of iptables-legacy.
 *
 * @module
 */

/** Notices every change from its making on, also between two rounds of a loop. */
export interface NftablesMonitor extends Disposable {
  /**
   * Yields as often as something has changed, many changes at once, own ones
   * too; ends when `signal` is aborted. One loop at a time; dispose of the
   * monitor after it.
   *
   * Throws {@linkcode SystemCallError}.
   */
  changes(signal: AbortSignal): AsyncGenerator<void>;
}
