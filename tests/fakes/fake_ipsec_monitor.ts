/**
 * A kernel that tells of changes of IPsec policies when a test says so.
 *
 * @module
 */

import type { IpsecMonitor } from "../../linux/netlink/ipsec_monitor.ts";
import { FakeNftablesMonitor } from "./fake_nftables_monitor.ts";

/** They tell in the same way. */
export class FakeIpsecMonitor extends FakeNftablesMonitor
  implements IpsecMonitor {}
