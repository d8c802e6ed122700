/**
 * `loden monitor --pcap`: the drops of the stream, in a file.
 *
 * @module
 */

import type {
  EventOf,
  MonitorEvent,
} from "../../agent/monitor/monitor_event.ts";
import { LodenError } from "../../errors.ts";
import { VERSION } from "../../version.ts";
import { CaptureFile } from "./capture_file.ts";
import { describeDrop } from "./event_text.ts";

/** The agent does not give the bytes of packets to this user. */
class CaptureRightsError extends LodenError {
  constructor(path: string) {
    super(
      "monitor.rights",
      `Cannot write ${path}: bytes of packets must be read by root: ` +
        "the agent does not give them to this user",
      { hint: "run as root, or leave --pcap out" },
    );
  }
}

/** See the module. */
export class Capture implements Disposable {
  readonly #path: string;
  readonly #file: CaptureFile;

  /** @throws {FileWriteError} */
  constructor(path: string) {
    this.#path = path;
    this.#file = CaptureFile.create(path, `loden ${VERSION}`);
  }

  /** @throws {FileWriteError} and {@linkcode CaptureRightsError}. */
  take(event: MonitorEvent): void {
    switch (event.type) {
      case "start":
        if (!event.bytes) throw new CaptureRightsError(this.#path);
        return;
      case "source":
        if (event.link !== null) this.#file.begin(event.link);
        return;
      case "drop":
        return this.#add(event);
    }
  }

  #add(event: EventOf<"drop">): void {
    const { bytes = "", lengthBytes, link, time } = event;
    this.#file.add({
      timeMs: Date.parse(time),
      link,
      bytes: Uint8Array.fromHex(bytes),
      lengthBytes,
      comment: describeDrop(event),
    });
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
