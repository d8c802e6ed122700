/**
 * Rules that could not be put in place. All of these may be cured by waiting or
 * by the administrator, so the agent tries again.
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

/** Neither iptables nor nft is there and works. `code` is `firewall.no-tool`. */
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

/** The tool ended with an error. `code` is `firewall.refused`. */
export class FirewallRefusedError extends FirewallError {
  constructor(command: string, result: CommandResult) {
    const said = firstLine(result.stderr) || firstLine(result.stdout) ||
      "it says nothing";
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

/** The tool said yes, but the rules are not there. `code` is `firewall.not-kept`. */
export class FirewallNotKeptError extends FirewallError {
  constructor(tool: string, missing: readonly string[]) {
    super(
      "not-kept",
      `Cannot set firewall rules: ${tool} must keep what it was given: ` +
        `still to do: ${missing.join("; ")}`,
      {
        hint: "another program may be rewriting the firewall at the same time",
      },
    );
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]!;
}
