/**
 * Errors of netlink sockets.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../../errors.ts";
import {
  ERRNO,
  SystemCallError,
  type SystemCallErrorOptions,
} from "../errno.ts";
import { moduleHint } from "../kernel_module.ts";

/**
 * The kernel refused a netlink request. The message ends with the kernel's own
 * sentence (NLMSGERR_ATTR_MSG) where it gave one.
 */
export class NetlinkError extends SystemCallError {
  /** @param what What was attempted, after "Cannot": "list the links". */
  constructor(
    what: string,
    errno: number,
    options: SystemCallErrorOptions = {},
  ) {
    super(
      what,
      errno,
      errno === ERRNO.EPERM
        ? { hint: "run as root or with CAP_NET_ADMIN", ...options }
        : options,
    );
  }
}

/**
 * The kernel refused a request because it lacks a module.
 *
 * @param what What was attempted, after "Cannot".
 * @param hint more than {@linkcode moduleHint} says.
 */
export function moduleMissing(
  what: string,
  errno: number,
  module: string,
  { hint = "", ...options }: LodenErrorOptions = {},
): NetlinkError {
  return new NetlinkError(what, errno, {
    ...options,
    detail: `the kernel must have the module ${module}`,
    hint: moduleHint(module) + hint,
  });
}

/** Bytes that are not a netlink message; the kernel does not send such. */
export class BadNetlinkMessageError extends LodenError {
  constructor(rule: string, value: number | string) {
    super(
      "linux.netlink.bad-message",
      `Cannot read a netlink message: ${rule}: current value is ${value}`,
    );
  }
}
