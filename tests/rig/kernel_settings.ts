/**
 * What the kernel is set to in a namespace of the tests, whatever the machine is
 * set to: a new namespace takes the machine's IPv4 settings over
 * (`devinet_init_net` in net/ipv4/devinet.c), and some tests stand or fall with
 * them.
 *
 * @module
 */

/** The kernel's own defaults (Documentation/networking/ip-sysctl.rst). */
const DEVICES: Readonly<Record<string, string>> = {
  accept_local: "0",
  accept_redirects: "1",
  accept_source_route: "1",
  arp_accept: "0",
  arp_announce: "0",
  arp_evict_nocarrier: "1",
  arp_filter: "0",
  arp_ignore: "0",
  arp_notify: "0",
  bc_forwarding: "0",
  disable_policy: "0",
  disable_xfrm: "0",
  drop_gratuitous_arp: "0",
  drop_unicast_in_l2_multicast: "0",
  ignore_routes_with_linkdown: "0",
  log_martians: "0",
  // As systemd sets both (sysctl.d/50-default.conf).
  promote_secondaries: "1",
  rp_filter: "2",
  proxy_arp: "0",
  proxy_arp_pvlan: "0",
  route_localnet: "0",
  secure_redirects: "1",
  send_redirects: "1",
  shared_media: "1",
  src_valid_mark: "0",
};

/** Path below `/proc/sys`, and value; first what sets others with it. */
export const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "net/ipv4/ip_forward": "0",
  // It costs about a fifth of the throughput.
  "net/bridge/bridge-nf-call-iptables": "0",
  ...Object.fromEntries(
    ["all", "default", "lo"].flatMap((device) =>
      Object.entries(DEVICES).map(([name, value]) => [
        `net/ipv4/conf/${device}/${name}`,
        value,
      ])
    ),
  ),
  // The kernel takes a source route only where both agree.
  "net/ipv4/conf/all/accept_source_route": "0",
};

/** Sets the namespace of this process; what the kernel lacks is left out. */
export function setKernel(
  settings: Readonly<Record<string, string>> = KERNEL_SETTINGS,
): void {
  for (const [path, value] of Object.entries(settings)) {
    try {
      Deno.writeTextFileSync(`/proc/sys/${path}`, value, { create: false });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
