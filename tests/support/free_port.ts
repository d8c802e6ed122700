/**
 * TCP ports of the loopback that nothing else takes.
 *
 * @module
 */

/**
 * Below the range from which the kernel takes ports by itself, which begins at
 * 32768 (`ip_local_port_range`, ip(7)): no connection and no listener on port 0
 * takes such a port between the choice and its use.
 */
const FIRST_PORT = 10_000;
const PORTS = 20_000;

/** A port on which nothing listens. Another choice is unlikely to be the same. */
export function freePort(): number {
  for (;;) {
    const [random] = crypto.getRandomValues(new Uint32Array(1));
    const port = FIRST_PORT + random! % PORTS;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
