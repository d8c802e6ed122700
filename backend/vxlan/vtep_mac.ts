/**
 * The hardware address of a host's VXLAN device.
 *
 * @module
 */

/**
 * An address that follows from the host's identity and the network's: it is the
 * same after a reboot, and differs from host to host. A hash spares a file that
 * would have to be kept.
 *
 * @param hostId 32 hexadecimal digits, kept in the state directory.
 * @returns six bytes: unicast, locally administered (IEEE 802, bits 0 and 1 of the
 * first).
 */
export async function vtepMac(
  hostId: string,
  vni: number,
): Promise<Uint8Array> {
  const text = new TextEncoder().encode(`loden vtep ${hostId} ${vni}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const mac = hash.slice(0, 6);
  mac[0] = (mac[0]! & 0xfe) | 0x02;
  return mac;
}
