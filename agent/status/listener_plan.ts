/**
 * Where the agent listens: flannel's health server, and beside it the routes that
 * show more than flannel does (`/metrics`, the page).
 *
 * Both are on `--healthz-port` unless `--metrics-port` is set. The health server is
 * on all addresses by default, as flannel's is, and the routes on loopback. One
 * listener then serves both, and an address decides what it answers.
 *
 * @module
 */

/** The settings that decide. */
export interface ListenerSettings {
  readonly healthzIp: string;
  /** `undefined`: no health server. */
  readonly healthzPort: number | undefined;
  readonly metricsIp: string;
  /** `undefined`: the port of the health server. */
  readonly metricsPort: number | undefined;
}

/** One listener. */
export interface ListenerPlan {
  readonly hostname: string;
  readonly port: number;
  /** The address at which it answers `/healthz` and `/readyz`, if it does. */
  readonly healthAt?: string;
  /** The address at which it answers the routes, if it does. */
  readonly routesAt?: string;
}

/** None if no port is set. */
export function planListeners(settings: ListenerSettings): ListenerPlan[] {
  const { healthzIp, healthzPort, metricsIp } = settings;
  const metricsPort = settings.metricsPort ?? healthzPort;
  const health = healthzPort === undefined ? undefined : {
    hostname: healthzIp,
    port: healthzPort,
    healthAt: healthzIp,
  };
  const routes = metricsPort === undefined ? undefined : {
    hostname: metricsIp,
    port: metricsPort,
    routesAt: metricsIp,
  };
  if (health === undefined || routes === undefined) {
    return [health ?? routes].filter((plan) => plan !== undefined);
  }
  if (health.port !== routes.port) return [health, routes];
  // The kernel refuses one port for all addresses and again for one of them.
  if (covers(healthzIp, metricsIp)) return [{ ...routes, ...health }];
  if (covers(metricsIp, healthzIp)) return [{ ...health, ...routes }];
  return [health, routes];
}

/** Where a program on this host reaches the routes; `undefined` if nowhere. */
export function routesUrl(settings: ListenerSettings): string | undefined {
  const plan = planListeners(settings).find(({ routesAt }) =>
    routesAt !== undefined
  );
  if (plan === undefined) return undefined;
  const { port, routesAt } = plan;
  const address = routesAt === "0.0.0.0"
    ? "127.0.0.1"
    : routesAt === "::"
    ? "::1"
    : routesAt!;
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/**
 * Whether a connection came to an address of the settings. For a loopback address,
 * both ends must be loopback: with `route_localnet` the kernel accepts packets from
 * other hosts there.
 */
export function reaches(
  at: string,
  ends: { readonly local: string; readonly remote: string },
): boolean {
  const wanted = canonical(at);
  if (isUnspecified(wanted)) return true;
  const [local, remote] = [canonical(ends.local), canonical(ends.remote)];
  return isLoopback(wanted)
    ? isLoopback(local) && isLoopback(remote)
    : local === wanted;
}

function covers(all: string, one: string): boolean {
  const [a, b] = [canonical(all), canonical(one)];
  return a === b || a === "::" || (a === "0.0.0.0" && !b.includes(":"));
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** One text for each address; an IPv4 address in IPv6's form is IPv4. */
function canonical(address: string): string {
  if (!address.includes(":")) return address;
  if (!URL.canParse(`http://[${address}]`)) return address;
  const url = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(url);
  if (mapped === null) return url;
  const [high, low] = mapped.slice(1).map((word) => Number.parseInt(word, 16));
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join(".");
}
