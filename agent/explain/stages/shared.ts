/**
 * What stages of both sides say in the same way.
 *
 * @module
 */

import type { DecidingRule } from "../../../host/firewall/evaluate/chains.ts";
import { ERRNO } from "../../../linux/errno.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import type { Fact } from "../fact.ts";
import type { Flow } from "../flow.ts";
import type { FirewallFacts, OverlayFacts, SendSnapshot } from "../snapshot.ts";

/** What to type when the agent's own work is missing. */
export const RESTART_AGENT = "systemctl restart loden";
/** What to type when Docker is not on the lease. */
export const RESTART_DOCKER = "systemctl restart docker";

/** `10.1.5.2`. */
export function sourceText({ source }: Flow): string {
  return formatIpv4(source);
}

/** `10.1.7.2`. */
export function destinationText({ destination }: Flow): string {
  return formatIpv4(destination);
}

/** Whether an agent runs; without one, the peers are those that were saved. */
export function isServed(overlay: Fact<OverlayFacts>): boolean {
  return overlay.seen && overlay.value.underlay !== undefined;
}

/** Whether the kernel forwards what arrives on a device. */
export function judgeForwarding(
  settings: ReadonlyMap<string, string>,
  device: string,
): Judgement {
  const all = settings.get("net/ipv4/ip_forward");
  const own = settings.get(`net/ipv4/conf/${device}/forwarding`);
  if (all === "0" && own !== "1") {
    return drop(
      "net.ipv4.ip_forward is 0: the kernel forwards nothing",
      "sysctl -w net.ipv4.ip_forward=1",
    );
  }
  if (own === "0") {
    const name = settingName(device, "forwarding");
    return drop(
      `${name} is 0: the kernel forwards nothing that arrives on ${device}`,
      `sysctl -w ${name}=1`,
    );
  }
  return own === undefined
    ? unknown(`whether ${device} forwards cannot be read`)
    : ok(`what arrives on ${device} is forwarded`);
}

/**
 * Why the kernel's answer to a look-up means that the reverse path filter drops the
 * packet; `undefined` if it does not.
 */
export function judgeReversePath(
  { flow, isSourceRouted, settings }: Pick<
    SendSnapshot,
    "flow" | "isSourceRouted" | "settings"
  >,
  errno: number,
  device: string,
): Judgement | undefined {
  const values = ["all", device].map((each) =>
    Number(settings.get(`net/ipv4/conf/${each}/rp_filter`) ?? 0)
  );
  // The larger one applies; 1 is strict.
  const isStrict = Math.max(...values) === 1;
  // EXDEV says it, EINVAL has other reasons, too.
  const isFiltered = errno === ERRNO.EXDEV ||
    (errno === ERRNO.EINVAL && isStrict && isSourceRouted === false);
  if (!isFiltered) return undefined;
  return drop(
    `the reverse path filter drops ${
      sourceText(flow)
    } on ${device}: the route ` +
      "back to it uses another device",
    `sysctl -w ${settingName(device, "rp_filter")}=2`,
  );
}

/** sysctl(8) needs slashes if a device's name has a dot. */
function settingName(device: string, name: string): string {
  const path = `net/ipv4/conf/${device}/${name}`;
  return device.includes(".") ? path : path.replaceAll("/", ".");
}

/** What became of a packet in the chains of a firewall. */
export function judgeFirewall(
  fact: Fact<FirewallFacts>,
  { fix, subject }: {
    /** Of a drop, if it is not one that Loden passes. */
    readonly fix: string;
    /** `the packet`, `UDP 8285`. */
    readonly subject: string;
  },
): Judgement {
  if (!fact.seen) return unknown(`the firewall cannot be read: ${fact.why}`);
  const { hook, unread, verdict } = fact.value;
  if (verdict.verdict === "accept") {
    return unread.length === 0
      ? ok(`the firewall accepts ${subject}`)
      : unknown(
        `rules that may drop ${subject} are not read: ${unread.join("; ")}`,
      );
  }
  const place = ruleText(verdict.by);
  if (verdict.verdict === "unknown") {
    return unknown(
      `whether a rule of ${hook} drops ${subject} cannot be told: ${place}`,
    );
  }
  return drop(`the firewall drops ${subject}: ${place}`, fix);
}

/** `iptables filter, chain FORWARD: policy DROP`. */
export function ruleText({ chain, rule, table }: DecidingRule): string {
  return `${table}, chain ${chain}: ${rule}`;
}
