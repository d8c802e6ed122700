/**
 * `bpf(2)`.
 *
 * @module
 */

import { architecture } from "../arch.ts";
import { ERRNO } from "../errno.ts";
import { addressOf, errno, libc } from "../libc.ts";
import { BpfError } from "./errors.ts";
import type { Shared } from "./structure.ts";

const RLIMIT_MEMLOCK = 8;
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;
/**
 * Number of attempts, as in libbpf: a signal during verification gives EAGAIN.
 */
const INTERRUPTED_ATTEMPTS = 5;

/** Keeps the structure of the present call alive until it returns. */
const inUse: Shared[] = [];

/** The call's result, or the negative error number. */
export function tryBpf(
  command: number,
  attributes: Shared,
): number {
  const number = architecture().systemCalls.bpf;
  for (let attempt = 1;; attempt++) {
    inUse.push(attributes);
    const result = libc().syscall(
      number,
      command,
      attributes.address,
      attributes.bytes.length,
    );
    const failure = result < 0 ? errno() : 0;
    inUse.pop();
    if (failure === 0) return result;
    const interrupted = failure === ERRNO.EAGAIN || failure === ERRNO.EINTR;
    if (!interrupted || attempt >= INTERRUPTED_ATTEMPTS) return -failure;
  }
}

/** As {@linkcode tryBpf}; throws {@linkcode BpfError} "Cannot `what`: …". */
export function bpf(
  what: string,
  command: number,
  attributes: Shared,
): number {
  const result = tryBpf(command, attributes);
  if (result < 0) throw new BpfError(what, -result);
  return result;
}

/**
 * Like {@linkcode tryBpf}, for calls that allocate memory. Before Linux 5.11
 * the kernel counts it as locked memory, and the usual limit of 64 KiB is soon
 * reached; then the limit is raised and the call repeated.
 */
export function tryBpfWithMemory(
  command: number,
  attributes: Shared,
): number {
  const result = tryBpf(command, attributes);
  const mayBeLimit = result === -ERRNO.EPERM || result === -ERRNO.ENOMEM;
  if (!mayBeLimit || !liftMemoryLimit()) return result;
  return tryBpf(command, attributes);
}

let memoryLimitLifted = false;

/** Removes the limit or raises it to the maximum; whether it has changed. */
function liftMemoryLimit(): boolean {
  if (memoryLimitLifted) return false;
  memoryLimitLifted = true;
  // struct rlimit: what holds, and how far it may be raised.
  const limit = new BigUint64Array(new ArrayBuffer(16));
  const put = () => libc().setrlimit(RLIMIT_MEMLOCK, addressOf(limit)) === 0;
  limit.fill(RLIM_INFINITY);
  if (put()) return true;
  if (libc().getrlimit(RLIMIT_MEMLOCK, addressOf(limit)) !== 0) return false;
  const [soft, hard] = limit;
  limit[0] = hard!;
  return soft !== hard && put();
}
