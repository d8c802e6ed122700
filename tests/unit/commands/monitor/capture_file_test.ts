import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type CapturedPacket,
  CaptureFile,
  type CaptureOutput,
} from "../../../../commands/monitor/capture_file.ts";
import { FileWriteError } from "../../../../linux/file_errors.ts";
import { type Capture, readCapture } from "../../../support/read_capture.ts";

/** A disk of so many bytes. */
class MemoryFile implements CaptureOutput {
  bytes = new Uint8Array();
  isClosed = false;
  readonly #room: number;
  readonly #mostAtOnce: number;

  constructor({ room = Infinity, mostAtOnce = Infinity } = {}) {
    this.#room = room;
    this.#mostAtOnce = mostAtOnce;
  }

  writeSync(bytes: Uint8Array): number {
    const most = Math.min(this.#room - this.bytes.length, this.#mostAtOnce);
    if (most <= 0) throw new Error("No space left on device (os error 28)");
    const part = bytes.subarray(0, most);
    this.bytes = Uint8Array.of(...this.bytes, ...part);
    return part.length;
  }

  truncateSync(length = 0): void {
    this.bytes = this.bytes.slice(0, length);
  }

  close(): void {
    this.isClosed = true;
  }
}

const TIME_MS = Date.UTC(2026, 10, 29, 1, 2, 3, 456);
const packet = (fields: Partial<CapturedPacket> = {}): CapturedPacket => ({
  timeMs: TIME_MS,
  link: "ip",
  bytes: Uint8Array.of(0x45, 1, 2, 3, 4),
  lengthBytes: 1_400,
  comment: "rx.drop.short on eth0",
  ...fields,
});

function captured(
  write: (capture: CaptureFile) => void,
  file = new MemoryFile(),
): Capture {
  using capture = new CaptureFile("/tmp/a.pcap", file, "loden 1.2.3");
  write(capture);
  return readCapture(file.bytes);
}

Deno.test("a packet is read as it was written, with its length, time and reason", () => {
  const { application, link, packets } = captured((capture) => {
    capture.begin("ip");
    capture.add(packet());
    capture.add(packet({ bytes: new Uint8Array(128), comment: "другой" }));
  });
  assertEquals([application, link], ["loden 1.2.3", 101]);
  assertEquals(packets, [
    {
      timeMs: TIME_MS,
      bytes: Uint8Array.of(0x45, 1, 2, 3, 4),
      lengthBytes: 1_400,
      comment: "rx.drop.short on eth0",
    },
    {
      timeMs: TIME_MS,
      bytes: new Uint8Array(128),
      lengthBytes: 1_400,
      comment: "другой",
    },
  ]);
});

Deno.test("a length that is not known is that of the bytes", () => {
  const { packets } = captured((capture) =>
    capture.add(packet({ lengthBytes: 0 }))
  );
  assertEquals(packets[0]!.lengthBytes, 5);
});

Deno.test("all packets of a file have its kind of header", () => {
  const frame = Uint8Array.of(...new Uint8Array(12), 8, 0, 0x45, 9);
  const ip = captured((capture) => {
    capture.begin("ip");
    capture.add(packet({ link: "ethernet", bytes: frame, lengthBytes: 90 }));
  });
  assertEquals([ip.link, ip.packets[0]!.lengthBytes], [101, 76]);
  assertEquals(ip.packets[0]!.bytes, Uint8Array.of(0x45, 9));
  const ethernet = captured((capture) => {
    capture.begin("ethernet");
    capture.add(packet({ bytes: Uint8Array.of(0x45, 9), lengthBytes: 76 }));
  });
  assertEquals([ethernet.link, ethernet.packets[0]!.lengthBytes], [1, 90]);
  assertEquals(ethernet.packets[0]!.bytes, frame);
});

Deno.test("a file without packets is whole as well", () => {
  const file = new MemoryFile();
  {
    using _capture = new CaptureFile("/tmp/a.pcap", file, "loden 1.2.3");
  }
  assertEquals(readCapture(file.bytes).packets, []);
  assert(file.isClosed);
});

Deno.test("a disk that takes little at once gets all", () => {
  const { packets } = captured(
    (capture) => capture.add(packet()),
    new MemoryFile({ mostAtOnce: 3 }),
  );
  assertEquals(packets.length, 1);
});

Deno.test("a full disk is reported, and what was written before is whole", () => {
  const file = new MemoryFile({ room: 300 });
  using capture = new CaptureFile("/tmp/a.pcap", file, "loden 1.2.3");
  let written = 0;
  const error = assertThrows(() => {
    for (;; written++) capture.add(packet());
  }, FileWriteError);
  assert(error.message.includes("/tmp/a.pcap"));
  assert(written > 0);
  assertEquals(readCapture(file.bytes).packets.length, written);
});

Deno.test("the file is its owner's alone, whatever the umask, and no other file is written over", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/drops.pcap`;
  const umask = Deno.umask(0);
  try {
    {
      using capture = CaptureFile.create(path, "loden 1.2.3");
      capture.add(packet());
    }
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
    const error = assertThrows(
      () => CaptureFile.create(path, "loden 1.2.3"),
      FileWriteError,
    );
    assert(error.hint?.includes("remove that file"));
    const { packets } = readCapture(await Deno.readFile(path));
    assertEquals(packets.length, 1);
  } finally {
    Deno.umask(umask);
    await Deno.remove(directory, { recursive: true });
  }
});
