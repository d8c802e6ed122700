/**
 * Why hosts are not probed, although the network runs.
 *
 * @module
 */

import { LodenError } from "../../errors.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";

/** Another program has the port. Its code is `probe.port`. */
export class ProbePortError extends LodenError {
  constructor(address: Ipv4, port: number, cause: unknown) {
    super(
      "probe.port",
      `Cannot probe hosts: UDP port ${port} of ${
        formatIpv4(address)
      } must be free: another program has it`,
      {
        cause,
        hint: `stop that program (ss -ulpn sport = :${port}), or give all ` +
          "hosts another --probe-port",
      },
    );
  }
}

/**
 * The bridge is missing that has the address with a backend without a device of
 * its own. Its code is `probe.address`.
 */
export class ProbeAddressError extends LodenError {
  constructor(address: Ipv4, cause: unknown) {
    super(
      "probe.address",
      `Cannot probe hosts: this host must have the address ${
        formatIpv4(address)
      }: no device has it`,
      { cause, hint: "start Docker, whose bridge has it" },
    );
  }
}
