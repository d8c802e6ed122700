/**
 * The functions of the C library that Loden calls.
 *
 * Results are declared `i32` although `read` and its like return `ssize_t`: no
 * transfer here reaches 2^31 bytes, -1 stays -1 in the lower half, and a 64-bit
 * result would be a BigInt, which costs an allocation per call.
 *
 * Addresses are numbers (`usize`), computed once by {@linkcode addressOf}. None
 * of the calls is `nonblocking`: those that wait belong in a Worker, or in
 * `linux/descriptor_watch.ts`.
 *
 * @module
 */

import { architecture } from "./arch.ts";
import { SystemCallError } from "./errno.ts";

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "usize", "usize"], result: "i32" },
  read: { parameters: ["i32", "usize", "usize"], result: "i32" },
  write: { parameters: ["i32", "usize", "usize"], result: "i32" },
  writev: { parameters: ["i32", "usize", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "usize", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "usize", "usize"], result: "i32" },
  connect: { parameters: ["i32", "usize", "u32"], result: "i32" },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "usize", "u32"],
    result: "i32",
  },
  getsockopt: {
    parameters: ["i32", "i32", "i32", "usize", "usize"],
    result: "i32",
  },
  sendto: {
    parameters: ["i32", "usize", "usize", "i32", "usize", "u32"],
    result: "i32",
  },
  recv: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "usize", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "usize", "i32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "usize", "u32", "i32"], result: "i32" },
  recvmmsg: {
    parameters: ["i32", "usize", "u32", "i32", "usize"],
    result: "i32",
  },
  poll: { parameters: ["usize", "usize", "i32"], result: "i32" },
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "usize"],
    result: "pointer",
  },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  getpagesize: { parameters: [], result: "i32" },
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
  malloc_trim: { parameters: ["usize"], result: "i32" },
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // Variadic in C: on both architectures its arguments pass as declared ones do.
  syscall: { parameters: ["usize", "usize", "usize", "usize"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  adjtimex: { parameters: ["usize"], result: "i32" },
  getrlimit: { parameters: ["i32", "usize"], result: "i32" },
  setrlimit: { parameters: ["i32", "usize"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * A call whose addresses and sizes may be numbers: Deno accepts both but
 * declares BigInt. On a hot path use BigInt: see `PacketMemory.addresses`.
 */
type WithNumberAddresses<Call> = Call extends
  (...args: infer Parameters) => infer Result ? (
    ...args: {
      [Index in keyof Parameters]: Parameters[Index] extends bigint
        ? number | bigint
        : Parameters[Index];
    }
  ) => Result
  : never;

/** The calls, by their C names. */
export type Libc = {
  readonly [Name in keyof Symbols]: WithNumberAddresses<Symbols[Name]>;
};

let library: Libc | undefined;
/** `errno` is thread-local, and so is this module: its place never changes. */
let errnoView: Deno.UnsafePointerView | undefined;

/**
 * The C library of this thread, opened at the first use: programs that never
 * touch the kernel (`loden docker-opts`) need no FFI permission.
 *
 * @throws {UnsupportedArchitectureError} where the structures that the kernel is
 * given are not known.
 */
export function libc(): Libc {
  if (library !== undefined) return library;
  architecture();
  const opened = Deno.dlopen("libc.so.6", SYMBOLS).symbols as unknown as Libc;
  // Before any call can fail: to find the place allocates memory, which may set
  // `errno` itself.
  errnoView = new Deno.UnsafePointerView(opened.__errno_location()!);
  errnoView.getInt32();
  library = opened;
  return library;
}

/**
 * The error number of the last failed call on this thread. Read it before any
 * other call, which may overwrite it.
 */
export function errno(): number {
  libc();
  return errnoView!.getInt32();
}

/** `result`, or {@linkcode SystemCallError} "Cannot `what`: …" when it is -1. */
export function checked(result: number, what: string, hint?: string): number {
  if (result >= 0) return result;
  throw new SystemCallError(what, errno(), hint === undefined ? {} : { hint });
}

/**
 * The address of the first byte of a view. The memory must stay alive, and must
 * not move, for as long as the number is used: keep the view.
 */
export function addressOf(view: ArrayBufferView): number {
  return Number(
    Deno.UnsafePointer.value(
      // Deno takes views of shared memory too; its declaration is narrower.
      Deno.UnsafePointer.of(view as ArrayBufferView<ArrayBuffer>),
    ),
  );
}

/** A NUL-terminated string for a `buffer` parameter. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0") as Uint8Array<ArrayBuffer>;
}
