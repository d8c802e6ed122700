/**
 * A capture of packets for Wireshark and tcpdump: pcapng, with a comment at each
 * packet that says why it was dropped.
 *
 * Source: draft-ietf-opsawg-pcapng. Numbers are little endian; blocks and
 * options are padded to 4 bytes.
 *
 * @module
 */

import { FileWriteError } from "../../linux/file_errors.ts";

const SECTION_HEADER = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const OPTION = { end: 0, comment: 1, name: 2, application: 4 } as const;
/** LINKTYPE_ETHERNET, LINKTYPE_RAW. */
const LINK_TYPES = { ethernet: 1, ip: 101 } as const;
const ETHERNET_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;

/** A packet, from its beginning on. */
export interface CapturedPacket {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly link: keyof typeof LINK_TYPES;
  /** The bytes that there are. */
  readonly bytes: Uint8Array;
  /** Of the whole packet; 0 if not known. */
  readonly lengthBytes: number;
  readonly comment: string;
}

/** What it writes to: {@linkcode Deno.FsFile}. */
export type CaptureOutput = Pick<
  Deno.FsFile,
  "writeSync" | "truncateSync" | "close"
>;

/**
 * The file is whole after each packet: it consists of whole blocks only, also
 * when the disk is full.
 */
export class CaptureFile implements Disposable {
  readonly #path: string;
  readonly #file: CaptureOutput;
  readonly #application: string;
  #link: keyof typeof LINK_TYPES | undefined;
  #bytes = 0;
  #isClosed = false;

  /** @param application What has written it, with the version. */
  constructor(path: string, file: CaptureOutput, application: string) {
    this.#path = path;
    this.#file = file;
    this.#application = application;
  }

  /**
   * Creates the file, for its owner only.
   *
   * @throws {FileWriteError} also if there is one of that name.
   */
  static create(path: string, application: string): CaptureFile {
    try {
      const file = Deno.openSync(path, {
        write: true,
        createNew: true,
        mode: 0o600,
      });
      return new CaptureFile(path, file, application);
    } catch (error) {
      throw new FileWriteError(path, error);
    }
  }

  /**
   * Writes the header. All packets of a file have the same kind of header, since
   * tcpdump refuses others.
   *
   * @throws {FileWriteError}
   */
  begin(link: keyof typeof LINK_TYPES): void {
    if (this.#link !== undefined) return;
    this.#link = link;
    this.#append([
      ...block(SECTION_HEADER, [
        ...u32(BYTE_ORDER_MAGIC),
        ...u16(1),
        ...u16(0),
        // The section's length is not known.
        ...u32(0xffff_ffff),
        ...u32(0xffff_ffff),
        ...option(OPTION.application, this.#application),
        ...option(OPTION.end, ""),
      ]),
      ...block(INTERFACE_DESCRIPTION, [
        ...u16(LINK_TYPES[link]),
        ...u16(0),
        // No limit.
        ...u32(0),
        ...option(OPTION.name, "loden"),
        ...option(OPTION.end, ""),
      ]),
    ]);
  }

  /** @throws {FileWriteError} */
  add(packet: CapturedPacket): void {
    this.begin(packet.link);
    const { bytes, lengthBytes } = converted(packet, this.#link!);
    const microseconds = BigInt(Math.round(packet.timeMs * 1_000));
    this.#append(block(ENHANCED_PACKET, [
      ...u32(0),
      ...u32(Number(microseconds >> 32n)),
      ...u32(Number(microseconds & 0xffff_ffffn)),
      ...u32(bytes.length),
      ...u32(Math.max(bytes.length, lengthBytes)),
      ...padded(bytes),
      ...option(OPTION.comment, packet.comment),
      ...option(OPTION.end, ""),
    ]));
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      // Without it, a file without packets would be none.
      this.begin("ethernet");
    } finally {
      this.#file.close();
    }
  }

  #append(numbers: readonly number[]): void {
    const bytes = Uint8Array.from(numbers);
    try {
      for (let written = 0; written < bytes.length;) {
        written += this.#file.writeSync(bytes.subarray(written));
      }
      this.#bytes += bytes.length;
    } catch (error) {
      this.#file.truncateSync(this.#bytes);
      throw new FileWriteError(this.#path, error);
    }
  }
}

/** The packet with the header that all of the file have. */
function converted(
  { bytes, lengthBytes, link }: CapturedPacket,
  wanted: keyof typeof LINK_TYPES,
): Pick<CapturedPacket, "bytes" | "lengthBytes"> {
  if (link === wanted) return { bytes, lengthBytes };
  if (wanted === "ip") {
    return {
      bytes: bytes.subarray(ETHERNET_BYTES),
      lengthBytes: Math.max(0, lengthBytes - ETHERNET_BYTES),
    };
  }
  // There were no hardware addresses.
  const frame = new Uint8Array(ETHERNET_BYTES + bytes.length);
  new DataView(frame.buffer).setUint16(ETHERNET_BYTES - 2, ETHERTYPE_IPV4);
  frame.set(bytes, ETHERNET_BYTES);
  return { bytes: frame, lengthBytes: ETHERNET_BYTES + lengthBytes };
}

const BLOCK_FRAME_BYTES = 12;

function block(type: number, body: readonly number[]): number[] {
  const length = BLOCK_FRAME_BYTES + body.length;
  return [...u32(type), ...u32(length), ...body, ...u32(length)];
}

function option(code: number, text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...u16(code), ...u16(bytes.length), ...padded(bytes)];
}

function padded(bytes: Uint8Array): number[] {
  return [...bytes, ...new Uint8Array(-bytes.length & 3)];
}

function u16(value: number): number[] {
  return [value & 0xff, value >>> 8];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}
