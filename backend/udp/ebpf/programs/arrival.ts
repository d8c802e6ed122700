/**
 * Whether a packet came by an interface that may speak for its sender.
 *
 * The address alone does not tell a host where several networks meet: an
 * interface towards a public network could speak for peers on a private one. So a
 * packet must come by an interface to which its source is routed (RFC 3704):
 *
 * 1. the one by which the peer is reached, which the agent has written down;
 * 2. another next hop of the same route, in `loden_arrivals`;
 * 3. the one that the host's routing names now. The kernel is asked only when the
 *    others do not match, and after a fail-over that is so, with or without an
 *    agent.
 *
 * A less specific route by another interface does not count: it is what the
 * default route of a public interface is.
 *
 * @module
 */

import {
  add,
  call,
  goto,
  type Instruction,
  jumpIf,
  label,
  load,
  loadMap,
  mov,
  R0,
  R1,
  R10,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  store,
} from "../../../../linux/bpf/instructions.ts";
import { PEER } from "../maps.ts";
import type { HostConstants } from "./constants.ts";
import { IPV4, networkWord, OUTER_IP, SKB } from "./layout.ts";
import { STACK } from "./parts.ts";
import { dropped } from "./record_drop.ts";

/** `struct bpf_fib_lookup` of `linux/bpf.h`. */
const FIB = {
  FAMILY: 0,
  INTERFACE: 8,
  SOURCE: 16,
  DESTINATION: 32,
  BYTES: 64,
} as const;
const AF_INET = 2;
/**
 * Answers that name an interface: BPF_FIB_LKUP_RET_SUCCESS, and …_NO_NEIGH, of
 * which nobody has asked for the hardware address yet.
 */
const FOUND = 0;
const NO_NEIGHBOUR = 7;

/** Whether programs look at the interface at all. */
function isChecked({ checksInterface, senderCheck }: HostConstants): boolean {
  return checksInterface && senderCheck !== "off";
}

/**
 * R8 is the peer, R7 the packet. Goes to {@linkcode checkOtherInterface} where the
 * peer is not reached by the interface that the packet came by.
 */
export function checkArrival(host: HostConstants): Instruction[] {
  if (!isChecked(host)) return [];
  return [
    load("u32", R1, R6, SKB.INTERFACE),
    load("u32", R2, R8, PEER.INTERFACE),
    jumpIf(R1, "!=", R2, "other interface"),
  ];
}

/** Behind the main way, to which it returns. R1 is the interface, R7 the packet. */
export function checkOtherInterface(host: HostConstants): Instruction[] {
  if (!isChecked(host)) return [];
  return [
    label("other interface"),
    ...askForWay(
      host,
      "sender good",
      host.senderCheck === "strict"
        ? dropped("rx.drop.wrongInterface")
        : "mismatch",
    ),
  ];
}

/**
 * The same for datagrams that are still one, of which each one's peer is looked
 * up later: R7 is the packet. An address that is no peer's passes: it is dropped
 * then.
 */
export function checkArrivalOfAggregate(host: HostConstants): Instruction[] {
  if (!isChecked(host) || host.senderCheck !== "strict") return [];
  return [
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    store("u32", R10, STACK.SCRATCH, R1),
    loadMap(R1, "loden_senders"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
    jumpIf(R0, "==", 0, "aggregate good"),
    load("u32", R1, R6, SKB.INTERFACE),
    load("u32", R2, R0, 0),
    jumpIf(R1, "==", R2, "aggregate good"),
    ...askForWay(host, "aggregate good", dropped("rx.drop.wrongInterface")),
    label("aggregate good"),
  ];
}

/** Goes to `good` or `bad`. R1 is the interface, R7 the packet. */
function askForWay(
  host: HostConstants,
  good: string,
  bad: string,
): Instruction[] {
  const known = `way known for ${good}`;
  return [
    load("u32", R2, R7, OUTER_IP + IPV4.SOURCE),
    store("u32", R10, STACK.SCRATCH, R2),
    store("u32", R10, STACK.SCRATCH + 4, R1),
    loadMap(R1, "loden_arrivals"),
    mov(R2, R10),
    add(R2, STACK.SCRATCH),
    call("map_lookup_elem"),
    jumpIf(R0, "!=", 0, good),
    ...Array.from(
      { length: FIB.BYTES / 4 },
      (_, index) => store("u32", R10, STACK.FIB + index * 4, 0),
    ),
    store("u8", R10, STACK.FIB + FIB.FAMILY, AF_INET),
    load("u32", R1, R6, SKB.INTERFACE),
    store("u32", R10, STACK.FIB + FIB.INTERFACE, R1),
    store(
      "u32",
      R10,
      STACK.FIB + FIB.SOURCE,
      networkWord(host.underlayAddress),
    ),
    load("u32", R1, R7, OUTER_IP + IPV4.SOURCE),
    store("u32", R10, STACK.FIB + FIB.DESTINATION, R1),
    mov(R1, R6),
    mov(R2, R10),
    add(R2, STACK.FIB),
    mov(R3, FIB.BYTES),
    mov(R4, 0),
    call("fib_lookup"),
    jumpIf(R0, "==", FOUND, known),
    jumpIf(R0, "!=", NO_NEIGHBOUR, bad),
    label(known),
    load("u32", R1, R10, STACK.FIB + FIB.INTERFACE),
    load("u32", R2, R6, SKB.INTERFACE),
    jumpIf(R1, "!=", R2, bad),
    goto(good),
  ];
}
