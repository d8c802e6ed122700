/**
 * Why no interface can be chosen to carry the overlay.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";
import { formatIpv4, type Ipv4 } from "../net/ipv4.ts";

/** The root of these errors. */
export class InterfaceError extends LodenError {
  /**
   * Whether the same options may do later: an interface appears, DHCP gives it an
   * address. Only a value that is wrong in itself never will.
   */
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    options: LodenErrorOptions & { readonly retryable?: boolean },
  ) {
    const { retryable = true, ...rest } = options;
    super(code, message, rest);
    this.retryable = retryable;
  }
}

/** A value that no host could make right: a broken pattern, no address. */
export class BadInterfaceOptionError extends InterfaceError {
  constructor(flag: string, rule: string, value: string, cause?: unknown) {
    super(
      "host.interface-option",
      `Cannot choose the interface: --${flag} must be ${rule}: ` +
        `current value is ${value}`,
      { hint: `correct or remove --${flag}`, cause, retryable: false },
    );
  }
}

/** `--iface` or `--iface-regex` names nothing that this host has. */
export class InterfaceNotFoundError extends InterfaceError {
  /**
   * @param rule What the flag may be, after "must".
   * @param present The interfaces that there are, for people.
   */
  constructor(flag: string, rule: string, value: string, present: string) {
    super(
      "host.interface-not-found",
      `Cannot choose the interface: --${flag} must ${rule}: ` +
        `current value is ${value}`,
      { hint: `this host has ${present}` },
    );
  }
}

/** Neither a flag nor the routing table says which interface to use. */
export class NoDefaultRouteError extends InterfaceError {
  /** @param found What there is instead, for people. */
  constructor(found: string, present: string) {
    super(
      "host.no-default-route",
      "Cannot choose the interface: the main routing table must have an IPv4 " +
        `default route through one interface: ${found}`,
      {
        hint: `add one or name the interface with --iface; ` +
          `this host has ${present}`,
      },
    );
  }
}

/** The address of `--iface-can-reach` cannot be reached. */
export class CannotReachError extends InterfaceError {
  constructor(destination: Ipv4, cause: unknown) {
    super(
      "host.interface-can-reach",
      "Cannot choose the interface: --iface-can-reach must be an address that " +
        `this host has a route to: current value is ${formatIpv4(destination)}`,
      { hint: "add the route or name the interface with --iface", cause },
    );
  }
}

/** The interface has no address that other hosts could send to. */
export class NoInterfaceAddressError extends InterfaceError {
  constructor(name: string) {
    super(
      "host.interface-no-address",
      `Cannot use interface ${name}: it must have an IPv4 address that is ` +
        "neither loopback nor deprecated: it has none",
      { hint: `give ${name} one or name another interface with --iface` },
    );
  }
}

/** The interface's packets are too small to carry others. */
export class InterfaceMtuError extends InterfaceError {
  constructor(name: string, mtuBytes: number, leastBytes: number) {
    super(
      "host.interface-mtu",
      `Cannot use interface ${name}: its MTU must be ${leastBytes} bytes or ` +
        `more, 28 of outer headers and 68 that any IPv4 network carries ` +
        `(RFC 791): current value is ${mtuBytes}`,
      { hint: `for example ip link set dev ${name} mtu 1500` },
    );
  }
}

/** Several options were given and none of them led to an interface. */
export class NoInterfaceMatchedError extends InterfaceError {
  /** Why not, for each option in the order in which they were tried. */
  readonly failures: readonly InterfaceError[];

  constructor(failures: readonly InterfaceError[], present: string) {
    super(
      "host.no-interface-matched",
      "Cannot choose the interface: one of the options must lead to one: " +
        failures.map((failure, i) => `${i + 1}. ${failure.message}`).join("; "),
      {
        hint: `this host has ${present}`,
        cause: failures[0],
        retryable: failures.some(({ retryable }) => retryable),
      },
    );
    this.failures = failures;
  }
}
