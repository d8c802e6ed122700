/**
 * Error numbers of the kernel, by name.
 *
 * @module
 */

import { LodenError, type LodenErrorOptions } from "../errors.ts";

/** The numbers that the code or its messages name: `asm-generic/errno*.h`. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EROFS: 30,
  ERANGE: 34,
  ENOSYS: 38,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ENONET: 64,
  EPROTO: 71,
  EBADFD: 77,
  EMSGSIZE: 90,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
} as const;

/**
 * Kernel-internal numbers that no C library names but that reach user space
 * nevertheless: `bpf(2)` returns this one. `linux/errno.h`.
 */
const KERNEL_ERRNO = { ENOTSUPP: 524 } as const;

/** The name of an error number, such as `EBUSY`; `errno 200` when unknown. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries({ ...ERRNO, ...KERNEL_ERRNO })) {
    if (value === errno) return name;
  }
  return `errno ${errno}`;
}

/** What is known in addition to the error number. */
export interface SystemCallErrorOptions extends LodenErrorOptions {
  /** The kernel's own explanation, if it gives one. */
  detail?: string | undefined;
}

/** A system call that the kernel refused. `code` is `linux.<ERRNO>`. */
export class SystemCallError extends LodenError {
  /** The positive error number. */
  readonly errno: number;

  constructor(
    what: string,
    errno: number,
    { detail, ...options }: SystemCallErrorOptions = {},
  ) {
    super(
      `linux.${errnoName(errno)}`,
      `Cannot ${what}: the kernel answered ${errnoName(errno)}${
        detail ? `: ${detail}` : ""
      }`,
      options,
    );
    this.errno = errno;
  }
}
