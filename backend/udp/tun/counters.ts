/**
 * The data path's counters, by the names that operators see.
 *
 * @module
 */

import * as layout from "./layout.ts";

/**
 * Name of each counter. The names are an interface: they are in `loden status`,
 * in the log and in `docs/datapath.md`.
 */
export const COUNTER_NAMES: Readonly<Record<string, number>> = {
  "tx.packets": layout.TX_PACKETS,
  "tx.bytes": layout.TX_BYTES,
  "tx.superPackets": layout.TX_SUPER_PACKETS,
  "tx.sends": layout.TX_SENDS,
  "tx.socketFull": layout.TX_SOCKET_FULL,
  "tx.pathMtuDoubted": layout.TX_PATH_MTU_DOUBTED,
  "tx.drop.short": layout.TX_DROP_SHORT,
  "tx.drop.notIpv4": layout.TX_DROP_NOT_IPV4,
  "tx.drop.badHeader": layout.TX_DROP_BAD_HEADER,
  "tx.drop.noPeer": layout.TX_DROP_NO_PEER,
  "tx.drop.ttl": layout.TX_DROP_TTL,
  "tx.drop.badOffload": layout.TX_DROP_BAD_OFFLOAD,
  "tx.drop.tooBig": layout.TX_DROP_TOO_BIG,
  "tx.drop.unreachable": layout.TX_DROP_UNREACHABLE,
  "tx.drop.refused": layout.TX_DROP_REFUSED,
  "tx.drop.noBuffer": layout.TX_DROP_NO_BUFFER,
  "rx.packets": layout.RX_PACKETS,
  "rx.bytes": layout.RX_BYTES,
  "rx.superPackets": layout.RX_SUPER_PACKETS,
  "rx.receives": layout.RX_RECEIVES,
  "rx.receiveFailed": layout.RX_RECEIVE_FAILED,
  "rx.senderMismatchPassed": layout.RX_SENDER_MISMATCH_PASSED,
  "rx.legacySignals": layout.RX_LEGACY_SIGNALS,
  "rx.drop.empty": layout.RX_DROP_EMPTY,
  "rx.drop.short": layout.RX_DROP_SHORT,
  "rx.drop.notIpv4": layout.RX_DROP_NOT_IPV4,
  "rx.drop.badHeader": layout.RX_DROP_BAD_HEADER,
  "rx.drop.badLength": layout.RX_DROP_BAD_LENGTH,
  "rx.drop.badChecksum": layout.RX_DROP_BAD_CHECKSUM,
  "rx.drop.unknownSender": layout.RX_DROP_UNKNOWN_SENDER,
  "rx.drop.wrongSource": layout.RX_DROP_WRONG_SOURCE,
  "rx.drop.wrongInterface": layout.RX_DROP_WRONG_INTERFACE,
  "rx.drop.wrongDestination": layout.RX_DROP_WRONG_DESTINATION,
  "rx.drop.ttl": layout.RX_DROP_TTL,
  "rx.drop.device": layout.RX_DROP_DEVICE,
  "rx.drop.socketFull": layout.RX_SOCKET_DROPPED,
  "icmp.sent": layout.ICMP_SENT,
  "icmp.rateLimited": layout.ICMP_RATE_LIMITED,
  "icmp.failed": layout.ICMP_FAILED,
};

/** All counters, read from the shared memory. */
export function readCounters(
  memory: ArrayBufferLike,
): Record<string, number> {
  const values = new BigUint64Array(
    memory,
    layout.COUNTERS,
    layout.COUNTER_COUNT,
  );
  return Object.fromEntries(
    Object.entries(COUNTER_NAMES).map((
      [name, index],
    ) => [name, Number(values[index])]),
  );
}
