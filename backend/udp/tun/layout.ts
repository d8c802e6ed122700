/**
 * The layout of the memory that the data path's workers, the WASM module and
 * the main thread share.
 *
 * Plain constants only: this file is compiled twice, by Deno and by the
 * AssemblyScript compiler. All offsets are bytes from the start of the memory.
 * Words are little endian, as WASM's are; addresses inside packets are in
 * network byte order and converted at the moment they are read.
 *
 * @module
 */

/** WASM page size in bytes. */
export const PAGE_BYTES = 65536;

// --- control words (u32), written by the main thread, read by the worker -----

/** Not zero: the worker leaves its loop. */
export const CONTROL_STOP = 0x1000;
/** Offset of the peer table that the worker should use from now on. */
export const CONTROL_TABLE_WANTED = 0x1004;
/** Offset of the peer table that a worker uses; written by that worker. */
export const CONTROL_TABLE_ACTIVE = 0x1008;
export const CONTROL_TABLE_HELPER = 0x1030;
/** Which worker receives: RECEIVER_PRIMARY or RECEIVER_HELPER. */
export const CONTROL_RECEIVER = 0x1024;
/** Not zero: the helper is there and can be given the receiving. */
export const CONTROL_HELPER_READY = 0x1028;
/** Not zero: the primary worker is under load. */
export const CONTROL_PRIMARY_BUSY = 0x102c;

export const RECEIVER_PRIMARY = 0;
export const RECEIVER_HELPER = 1;

/** This host's subnet and its mask, host byte order. */
export const CONFIG_OWN_SUBNET = 0x1010;
export const CONFIG_OWN_MASK = 0x1014;
/** One of SENDER_CHECK_*. */
export const CONFIG_SENDER_CHECK = 0x1018;
/** Not zero: the TUN takes UDP super-packets (TUN_F_USO4, Linux 6.2). */
export const CONFIG_COALESCE_UDP = 0x101c;
/** Not zero: the TUN takes TCP super-packets (TUN_F_TSO4). */
export const CONFIG_COALESCE_TCP = 0x1020;
/** The overlay's MTU, bytes. */
export const CONFIG_MTU = 0x1034;

export const SENDER_CHECK_OFF = 0;
export const SENDER_CHECK_COUNT = 1;
export const SENDER_CHECK_STRICT = 2;

// --- results of one kernel call (u32) ----------------------------------------

/** Underlay address of the peer, host byte order. */
export const RESULT_PEER_ADDRESS = 0x1080;
/** Bytes of each packet of a super-packet (the last may be shorter). */
export const RESULT_SEGMENT_BYTES = 0x1084;
/** Bytes of the packets that `cut` has just made. */
export const RESULT_CUT_BYTES = 0x1088;
/** Pending ICMP errors, in ICMP_REQUESTS. */
export const RESULT_ICMP_COUNT = 0x108c;

// --- what `transmit` says about a packet from the TUN ------------------------

/** Counted and dropped. */
export const TRANSMIT_DROP = 0;
/** One packet, ready in place. */
export const TRANSMIT_SINGLE = 1;
/** A super-packet: `cut` gives its packets. */
export const TRANSMIT_SUPER = 2;
/** No host holds the destination: send ICMP net unreachable. */
export const TRANSMIT_NO_PEER = 3;
/** TTL expired: send ICMP time exceeded. */
export const TRANSMIT_TTL_EXCEEDED = 4;

// --- counters (u64 each) -----------------------------------------------------

export const COUNTERS = 0x1400;
export const COUNTER_BYTES = 8;

export const TX_PACKETS = 0;
export const TX_BYTES = 1;
export const TX_SUPER_PACKETS = 2;
export const TX_DROP_SHORT = 3;
export const TX_DROP_NOT_IPV4 = 4;
export const TX_DROP_BAD_HEADER = 5;
export const TX_DROP_NO_PEER = 6;
export const TX_DROP_TTL = 7;
export const TX_DROP_BAD_OFFLOAD = 8;
export const TX_DROP_TOO_BIG = 9;
export const TX_DROP_UNREACHABLE = 10;
export const TX_DROP_REFUSED = 11;
export const TX_DROP_NO_BUFFER = 12;
export const TX_SENDS = 13;
export const TX_SOCKET_FULL = 14;
export const TX_PATH_MTU_DOUBTED = 15;

export const RX_PACKETS = 16;
export const RX_BYTES = 17;
export const RX_SUPER_PACKETS = 18;
export const RX_DROP_EMPTY = 19;
export const RX_DROP_SHORT = 20;
export const RX_DROP_NOT_IPV4 = 21;
export const RX_DROP_BAD_HEADER = 22;
export const RX_DROP_BAD_LENGTH = 23;
export const RX_DROP_BAD_CHECKSUM = 24;
export const RX_DROP_UNKNOWN_SENDER = 25;
export const RX_DROP_WRONG_SOURCE = 26;
export const RX_DROP_WRONG_DESTINATION = 27;
export const RX_DROP_TTL = 28;
export const RX_DROP_DEVICE = 29;
export const RX_RECEIVES = 30;
export const RX_SOCKET_DROPPED = 31;
export const RX_SENDER_MISMATCH_PASSED = 32;
export const RX_RECEIVE_FAILED = 33;
export const RX_LEGACY_SIGNALS = 34;
export const RX_DROP_WRONG_INTERFACE = 35;

export const ICMP_SENT = 40;
export const ICMP_RATE_LIMITED = 41;
export const ICMP_FAILED = 42;

export const COUNTER_COUNT = 48;

// --- transmit side -----------------------------------------------------------

/** Most packets in one UDP_SEGMENT send: UDP_MAX_SEGMENTS before Linux 6.9. */
export const MAX_SEGMENTS = 64;
/** Most payload bytes of one send: 65535 less the outer headers. */
export const MAX_SEND_BYTES = 65507;

/** `struct virtio_net_hdr` (10 bytes) of the packet just read. */
export const VNET_HEADER_BYTES = 10;
/** Headers of packets cut from super-packets, 128 bytes for each of a batch. */
export const TX_HEADERS = 0x2000;
export const TX_HEADER_STRIDE = 128;
/** `struct iovec`s of a batch: one a packet, or two (header, payload) if cut. */
export const TX_IOV = 0x6000;
/**
 * Where packets are read to: slot after slot. A packet that is longer than a slot
 * takes as many as it needs; the last leaves room for the longest.
 */
export const TX_BUFFER = 0x40000;
export const TX_SLOT_BYTES = 2048;
export const TX_SLOTS = 96;

// --- receive side ------------------------------------------------------------

/** One record per write to the TUN: see RECORD_*. */
export const RX_RECORDS = 0x7000;
export const RX_RECORD_STRIDE = 64;
/** Most datagrams of one receive that are looked at; UDP GRO makes 64. */
export const RX_MAX_RECORDS = 512;
/** u32 offset of the record's iovecs. */
export const RECORD_IOV = 0;
/** u32 number of iovecs; the first is the virtio_net_hdr. */
export const RECORD_IOV_COUNT = 4;
/** u32 packets in the record. */
export const RECORD_PACKETS = 8;
/** The virtio_net_hdr, 10 bytes. */
export const RECORD_VNET = 12;
/** The kernel's own notes on a record that merges packets, u32 each. */
export const RECORD_HEAD = 24;
export const RECORD_HEADER_BYTES = 28;
export const RECORD_GSO_BYTES = 32;
export const RECORD_PAYLOAD_BYTES = 36;

/** Two iovecs for each record. */
export const RX_IOV = 0xf000;
/** Room for the records that merge several packets. */
export const RX_MERGE_IOV = 0x13000;
export const RX_MERGE_IOV_ENTRIES = 66;
export const RX_MERGE_AREAS = 128;

/** Flows whose last record may still grow: see `receive.as.ts`. */
export const RX_OPEN_FLOWS = 0x34000;
export const RX_OPEN_FLOW_STRIDE = 32;
export const RX_OPEN_FLOW_COUNT = 8;

/** ICMP errors that a receive asks for: u32 offset, u32 length each. */
export const ICMP_REQUESTS = 0x34400;
export const ICMP_MAX_REQUESTS = 64;

/** Where receives put their datagrams; packets are merged across them. */
export const RX_BUFFER = 0x80000;
export const RX_BUFFER_BYTES = 0x10000;
export const RX_BUFFER_COUNT = 4;

// --- structures for system calls ---------------------------------------------

/** Small structures that the loop hands to the kernel; see `system_calls.ts`. */
export const SYSTEM_CALL_AREA = 0x35000;
export const SYSTEM_CALL_AREA_END = 0x37000;

// --- dropped packets ---------------------------------------------------------

/** Not zero: there is a listener, so drops are recorded. */
export const CONTROL_RECORD_DROPS = 0x1038;
/** The device by which the last receive came, or 0. */
export const RX_INTERFACE = 0x1090;
/**
 * u32 for each counter: records since they were last read. The reader sets them
 * to 0.
 */
export const DROPS_TAKEN = 0x37000;
/** Of one reason between two reads. */
export const DROPS_MOST_TAKEN = 24;
/** A ring for each direction, since each has one writer. */
export const DROPS_TX = 0x38000;
export const DROPS_RX = 0x3c000;
export const DROPS_RING_BYTES = 0x4000;
/** u32: records written; written by the worker. */
export const DROPS_WRITTEN = 0;
/** u32: records read; written by the main thread. */
export const DROPS_READ = 4;
/** The records follow. */
export const DROPS_FIRST = 64;
export const DROP_STRIDE = 160;
export const DROPS_SLOTS = 96;
/** u32: the number of the counter. */
export const DROP_REASON = 0;
/** u32: bytes of the packet. */
export const DROP_LENGTH = 4;
/** u32: how many of them follow. */
export const DROP_CAPTURED = 8;
/** u32: underlay address of the other host, host byte order, or 0. */
export const DROP_PEER = 12;
/** u32: the device by which it came, or 0. */
export const DROP_INTERFACE = 16;
export const DROP_DATA = 20;
export const DROP_CAPTURE_BYTES = 128;

// --- peer tables -------------------------------------------------------------

/** Two tables, so that one can be rebuilt while the other is in use. */
export const TABLES = 0xc0000;

/** u32 words of a table's header. */
export const TABLE_KIND = 0;
export const TABLE_NETWORK = 4;
export const TABLE_SHIFT = 8;
export const TABLE_COUNT = 12;
export const TABLE_ENTRIES = 16;
export const TABLE_PEERS = 20;
export const TABLE_ADDRESSES = 24;
export const TABLE_ADDRESS_COUNT = 28;
export const TABLE_HEADER_BYTES = 64;

/** Entries are peer numbers + 1, indexed by subnet number: one load. */
export const TABLE_KIND_FLAT = 0;
/** Entries are sorted (first, last, peer number + 1): a binary search. */
export const TABLE_KIND_RANGES = 1;
export const RANGE_BYTES = 12;

/** A peer: u32 underlay address, u32 reserved. */
export const PEER_BYTES = 8;
