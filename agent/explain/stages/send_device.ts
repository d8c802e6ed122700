/**
 * The overlay's device.
 *
 * @module
 */

import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { valueOf } from "../fact.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { RESTART_AGENT } from "./shared.ts";

/** Whether it is up and takes a packet of this size. */
export function judgeDevice(
  { flow, isBridged, route, way }: SendSnapshot,
): Judgement | undefined {
  if (isBridged || way === undefined || way.kind === "here") return undefined;
  const { link } = way;
  const { mtuBytes, name, up } = link;
  if (!up) return drop(`${name} is down`, `ip link set ${name} up`);
  const answer = valueOf(route);
  const routeMtu = answer?.kind === "found"
    ? answer.answer.mtuBytes ?? Infinity
    : Infinity;
  const most = Math.min(mtuBytes, routeMtu);
  if (flow.sizeBytes > most) {
    return drop(
      `a packet of ${flow.sizeBytes} bytes does not fit ${name}, which takes ` +
        `${most} bytes: the sender is told so`,
      `send at most ${most} bytes; for containers start Docker with ` +
        `--mtu=${most}`,
    );
  }
  if (!link.carrier && way.kind === "overlay") {
    return link.kind === "tun"
      ? drop(`no agent serves ${name}`, RESTART_AGENT)
      : unknown(`${name} has no carrier`);
  }
  return way.kind === "overlay"
    ? ok(`${name} is up and takes ${most} bytes`)
    : undefined;
}
