/**
 * The rules that Loden sets on its hosts (`--ip-masq`), on hosts without it: they
 * make the kernel track connections, which every packet pays for.
 *
 * @module
 */

import { selectFirewall } from "../../host/firewall/select_firewall.ts";
import {
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
  HostCommandRunner,
} from "../../linux/command.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { NetNamespace } from "../../tests/rig/namespace.ts";
import type { PathNode } from "./containers.ts";

/** As an agent would: `network` is the whole overlay, `10.2.0.0/16`. */
export async function setFirewallRules(
  { bip, host }: PathNode,
  network: string,
  signal: AbortSignal,
): Promise<void> {
  const { firewall } = await selectFirewall(
    new NamespaceRunner(host.namespace),
    { enableNftables: false },
    signal,
  );
  await firewall.ensure({
    network: parseCidr(network)!,
    // The host bits of the bridge's address are masked off.
    subnet: parseCidr(bip)!,
    masquerade: true,
    forward: true,
    randomFully: true,
  }, signal);
}

class NamespaceRunner implements CommandRunner {
  readonly #namespace: NetNamespace;
  readonly #runner = new HostCommandRunner();

  constructor(namespace: NetNamespace) {
    this.#namespace = namespace;
  }

  run(
    command: string,
    words: readonly string[],
    options: CommandOptions,
  ): Promise<CommandResult> {
    const [program, ...prefix] = this.#namespace.commandPrefix;
    return this.#runner.run(program!, [...prefix, command, ...words], options);
  }
}
