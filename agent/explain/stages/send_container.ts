/**
 * The way out of the container.
 *
 * @module
 */

import { shellWord } from "../../../linux/shell_word.ts";
import { drop, type Judgement, ok, unknown } from "../../../net/finding.ts";
import { formatIpv4 } from "../../../net/ipv4.ts";
import { NO_DEVICES } from "../../instance/own_devices.ts";
import { valueOf } from "../fact.ts";
import { linkAddressOf } from "../place.ts";
import type { SendSnapshot } from "../snapshot.ts";
import { destinationText } from "./shared.ts";

/** The container's own route, device and MTU. */
export function judgeContainer(
  { container, devices, flow }: SendSnapshot,
): Judgement | undefined {
  const found = container && valueOf(container)?.container;
  if (found === undefined) return undefined;
  const { inside, pid } = found;
  const enter = `nsenter --target=${pid} --net`;
  if (!inside.seen) {
    return unknown(`its network namespace cannot be entered: ${inside.why}`);
  }
  const { deviceName, isUp, mtuBytes, route } = inside.value;
  const bridge = linkAddressOf(
    valueOf(devices) ?? NO_DEVICES,
    flow.source,
  );
  if (route.kind === "refused") {
    return drop(
      `the container has no route to ${destinationText(flow)}`,
      bridge === undefined
        ? `${enter} ip route`
        : `${enter} ip route add default via ${formatIpv4(bridge.address)}`,
    );
  }
  if (!isUp) {
    return drop(
      `${deviceName} of the container is down`,
      `${enter} ip link set ${shellWord(deviceName)} up`,
    );
  }
  const { gateway, mtuBytes: routeMtu } = route.answer;
  const most = Math.min(routeMtu ?? Infinity, mtuBytes ?? Infinity);
  if (flow.sizeBytes > most) {
    return drop(
      `a packet of ${flow.sizeBytes} bytes does not fit ${deviceName}, ` +
        `whose MTU is ${most}`,
      `send at most ${most} bytes, or start Docker with a larger --mtu`,
    );
  }
  const via = gateway === undefined ? "directly" : `via ${formatIpv4(gateway)}`;
  return ok(`it leaves ${via} by ${deviceName}, MTU ${most}`);
}
