/**
 * Errors in the choice of the underlay interface.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../../errors.ts";
import { formatIpv4, type Ipv4 } from "../../net/ipv4.ts";

/** The root of these errors. */
export class InterfaceError extends LodenError {
  /**
   * Whether the same options may work later: an interface may appear, or DHCP
   * may assign an address. Only an invalid value never works.
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

/** A value that is invalid on every host: a broken pattern, not an address. */
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

/** `--iface` or `--iface-regex` matches nothing on this host. */
export class InterfaceNotFoundError extends InterfaceError {
  /**
   * @param rule The rule, after "must".
   * @param present The host's interfaces, for people.
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

/** Neither a flag nor the routing table selects an interface. */
export class NoDefaultRouteError extends InterfaceError {
  /** @param found What was found instead, for people. */
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

/** The interface has no address that other hosts can send to. */
export class NoInterfaceAddressError extends InterfaceError {
  /** @param master the bond, bridge or team of which it is a port. */
  constructor(name: string, master?: string) {
    super(
      "host.interface-no-address",
      `Cannot use interface ${name}: it must have an IPv4 address that is ` +
        "neither loopback nor deprecated: it has none",
      {
        hint: master === undefined
          ? `give ${name} one or name another interface with --iface`
          : `${name} is a port of ${master}: use --iface=${master}`,
      },
    );
  }
}

/** The interface's MTU is too small to encapsulate packets. */
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

/** Several options were given, and none of them matched an interface. */
export class NoInterfaceMatchedError extends InterfaceError {
  /** The reason for each option, in the order in which they were tried. */
  readonly failures: readonly InterfaceError[];

  constructor(failures: readonly InterfaceError[], present: string) {
    super(
      "host.no-interface-matched",
      "Cannot choose the interface: one of the options must match: " +
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
