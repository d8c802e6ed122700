/**
 * The agent beside a Docker whose rules are nftables'.
 *
 * @module
 */

import { assertMatch } from "@std/assert";
import { docker29Rules } from "../support/docker29_rules.ts";
import { EACH_PATH } from "./data_paths.ts";
import { startOverlay } from "./overlay.ts";
import { assertPings, untilAnswered } from "./traffic.ts";

for (const setup of EACH_PATH) {
  Deno.test(`${setup.name}: what Docker 29 drops passes when it comes by the overlay, and only then`, async () => {
    await using overlay = await startOverlay({ setup });
    const { rig } = overlay;
    const [from, { agent, container: to, host }] = [
      overlay.node(0).container,
      overlay.node(1),
    ];
    const direct = () =>
      rig.switch.attempt(["ping", "-n", "-c1", "-W1", to.address]);
    const { FLANNEL_SUBNET: subnet } = await agent.subnetEnv();
    await rig.switch.ip([
      `route add ${subnet!.replace(/\.1\//, ".0/")} via ${host.address}`,
    ]);
    // The rig's hosts drop what no rule accepts, as iptables' Docker does; with
    // nftables Docker's own rules do.
    await host.namespace.run(["iptables", "-P", "FORWARD", "ACCEPT"]);
    assertMatch((await direct()).stdout, / 1 received/);
    const rules = docker29Rules({ container: to.address, isTold: true });
    await host.namespace.run(["sh", "-euc", rules]);
    await untilAnswered(from.namespace, to.address);
    await assertPings(from.namespace, to.address);
    assertMatch((await direct()).stdout, / 0 received/);
  });
}
