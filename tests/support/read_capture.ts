/**
 * Reads a capture (pcapng), block by block, and refuses what is not as the
 * specification says: draft-ietf-opsawg-pcapng.
 *
 * @module
 */

/** A packet of a capture. */
export interface ReadPacket {
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  readonly lengthBytes: number;
  readonly comment: string | undefined;
}

/** A file with one section and one interface. */
export interface Capture {
  readonly application: string | undefined;
  /** LINKTYPE_*. */
  readonly link: number;
  readonly packets: readonly ReadPacket[];
}

const SECTION_HEADER = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const [COMMENT, APPLICATION] = [1, 4];

/** Throws for a file that is not whole. */
export function readCapture(file: Uint8Array): Capture {
  const [section, device, ...packets] = blocksOf(file);
  require(section?.type === SECTION_HEADER, "a section header");
  require(section.view.getUint32(0, true) === 0x1a2b_3c4d, "the byte order");
  require(section.view.getUint16(4, true) === 1, "version 1");
  require(device?.type === INTERFACE_DESCRIPTION, "an interface");
  require(packets.every(({ type }) => type === ENHANCED_PACKET), "packets");
  return {
    application: optionOf(section.view, 16, APPLICATION),
    link: device.view.getUint16(0, true),
    packets: packets.map(({ view }) => readPacket(view)),
  };
}

interface Block {
  readonly type: number;
  readonly view: DataView;
}

function blocksOf(file: Uint8Array): Block[] {
  const blocks: Block[] = [];
  const whole = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at < file.length;) {
    const length = whole.getUint32(at + 4, true);
    require(length % 4 === 0 && length >= 12, "a length of whole words");
    require(at + length <= file.length, "a whole block");
    require(
      whole.getUint32(at + length - 4, true) === length,
      "its length twice",
    );
    blocks.push({
      type: whole.getUint32(at, true),
      view: new DataView(file.buffer, file.byteOffset + at + 8, length - 12),
    });
    at += length;
  }
  return blocks;
}

function readPacket(view: DataView): ReadPacket {
  const captured = view.getUint32(12, true);
  require(view.getUint32(0, true) === 0, "the first interface");
  const time = (BigInt(view.getUint32(4, true)) << 32n) +
    BigInt(view.getUint32(8, true));
  const bytes = new Uint8Array(view.buffer, view.byteOffset + 20, captured);
  return {
    timeMs: Number(time) / 1_000,
    bytes: bytes.slice(),
    lengthBytes: view.getUint32(16, true),
    comment: optionOf(view, 20 + captured + (-captured & 3), COMMENT),
  };
}

function optionOf(
  view: DataView,
  start: number,
  wanted: number,
): string | undefined {
  for (let at = start; at < view.byteLength;) {
    const code = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (code === wanted) {
      return new TextDecoder().decode(
        new Uint8Array(view.buffer, view.byteOffset + at + 4, length),
      );
    }
    at += 4 + length + (-length & 3);
  }
  return undefined;
}

function require(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`Cannot read the capture: it must have ${what}`);
}
