/**
 * What is known of the way between the two hosts.
 *
 * @module
 */

import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { trafficText } from "../../../net/underlay.ts";
import { valueOf } from "../fact.ts";
import type { Echoes, SendSnapshot } from "../snapshot.ts";

/** By the other agent's answer, probes and the packets of `--send`. */
export function judgeWay(snapshot: SendSnapshot): Judgement | undefined {
  const { answer, echoes, flow, inspection, peer } = snapshot;
  if (peer === undefined || inspection === undefined) return undefined;
  const address = formatIpv4(peer.publicIp);
  const traffic = valueOf(inspection)?.traffic;
  const carried = traffic === undefined
    ? "the overlay's traffic"
    : trafficText(traffic);
  if (echoes !== undefined) {
    return judgeEchoes(snapshot, echoes, address, carried);
  }
  const largest = peer.probe?.largestBytes;
  if (
    answer?.seen === true && largest !== undefined && largest < flow.sizeBytes
  ) {
    // Probes notice late that a path has become wider.
    return unknown(
      `of the probes to ${address}, those of ${largest} bytes are the largest ` +
        "that have passed",
      "with --send, explain looks whether larger packets pass now",
    );
  }
  if (answer?.seen === true) return ok(`the agent of ${address} answers`);
  const silence = peer.probe?.state === "unreachable"
    ? "; it has stopped to answer probes, too"
    : "";
  return unknown(
    `the agent of ${address} does not answer` +
      (answer === undefined ? "" : `: ${answer.why}${silence}`),
    `on ${address}: loden explain ${formatIpv4(flow.destination)} ${
      formatIpv4(flow.source)
    }; or here with --send, which sends packets to see how far they get`,
  );
}

function judgeEchoes(
  { answer, flow, peer }: SendSnapshot,
  echoes: Echoes,
  address: string,
  carried: string,
): Judgement {
  const overlay = valueOf(echoes.overlay);
  const underlay = valueOf(echoes.underlay);
  const large = valueOf(echoes.overlayLarge);
  const hasAnswered = peer?.probe?.hasAnswered ?? false;
  const largeOutside = valueOf(echoes.underlayLarge);
  if (overlay === true || answer?.seen === true) {
    if (large === true) {
      return ok(`${address} answers packets of ${flow.sizeBytes} bytes`);
    }
    if (overlay === true && large === false) {
      return tooLarge(flow.sizeBytes, `${address} answers smaller ones`);
    }
    return ok(`${address} answers`);
  }
  if (overlay === undefined) {
    return unknown(
      `no packet could be sent: ${
        echoes.overlay.seen ? "" : echoes.overlay.why
      }`,
    );
  }
  // A host may forward containers' packets and answer none itself, as with flannel
  // behind a firewall.
  if (underlay === true && !hasAnswered) {
    return unknown(
      `${address} answers a ping on the underlay, and has never answered through ` +
        "the overlay: it may be a host that does not",
      `on ${address}: check with tcpdump whether ${carried} arrives`,
    );
  }
  if (underlay === true && largeOutside !== false) {
    return drop(
      `${address} answers a ping on the underlay, and nothing through the ` +
        `overlay: ${carried} does not arrive there, or is dropped there`,
      `let ${carried} pass between the hosts: in firewalls and security ` +
        `groups on the way, and on ${address}`,
    );
  }
  if (underlay === true) {
    return tooLarge(flow.sizeBytes, `${address} answers smaller ones`);
  }
  return unknown(
    `${address} answers neither on the underlay nor through the overlay: it ` +
      "may be down, or drop pings",
    `check that ${address} is up`,
  );
}

function tooLarge(bytes: number, seen: string): Judgement {
  return drop(
    `packets of ${bytes} bytes are lost on the way, and ${seen}: the MTU of ` +
      "a network between the hosts is too small",
    "raise the MTU there, or lower that of this host's underlay device and " +
      "restart the agent, then Docker",
  );
}
