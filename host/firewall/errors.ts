/**
 * Rules that could not be set. Waiting or the administrator may cure each of
 * these errors, so the agent tries again.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../../errors.ts";
import type { CommandResult } from "../../linux/command.ts";

/** The root of this part's errors. */
export class FirewallError extends LodenError {
  constructor(code: string, message: string, options: LodenErrorOptions = {}) {
    super(`firewall.${code}`, message, options);
  }
}

/**
 * Neither iptables nor nft works on this host. `code` is `firewall.no-tool`.
 */
export class NoFirewallToolError extends FirewallError {
  constructor(reasons: readonly string[], options: ErrorOptions = {}) {
    super(
      "no-tool",
      "Cannot set firewall rules: iptables or nft must be installed and work: " +
        reasons.join("; "),
      {
        ...options,
        hint: "install the package iptables or nftables " +
          "(apt-get install nftables), or start with --ip-masq=false " +
          "--iptables-forward-rules=false",
      },
    );
  }
}

/** The tool failed. `code` is `firewall.refused`. */
export class FirewallRefusedError extends FirewallError {
  constructor(command: string, result: CommandResult) {
    const said = firstLine(result.stderr) || firstLine(result.stdout) ||
      "no output";
    const needsRoot = /permission denied|not permitted|must be root/i.test(
      said,
    );
    super(
      "refused",
      `Cannot set firewall rules: ${command} ended with ${result.code}: ${said}`,
      needsRoot ? { hint: "run as root (CAP_NET_ADMIN)" } : {},
    );
  }
}

/**
 * The tool succeeded, but the rules are not there. `code` is
 * `firewall.not-kept`.
 */
export class FirewallNotKeptError extends FirewallError {
  constructor(tool: string, missing: readonly string[]) {
    super(
      "not-kept",
      `Cannot set firewall rules: ${tool} must keep the rules that it was ` +
        `given: still missing: ${missing.join("; ")}`,
      {
        hint: "another program may be rewriting the firewall at the same time",
      },
    );
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]!;
}
