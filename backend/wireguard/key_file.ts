/**
 * Keeps this host's private key, so that a reboot does not change it: the other
 * hosts know its public key by the lease.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import * as v from "valibot";
import { describeError, LodenError } from "../../errors.ts";
import { writeFileAtomically } from "../../linux/atomic_file.ts";
import { FileReadError } from "../../linux/file_errors.ts";
import type { RandomSource } from "../../linux/random.ts";
import { WireguardKey } from "./wireguard_key.ts";
import { parseWireguardKey } from "./wireguard_options.ts";

const log = getLogger(["loden", "backend"]);

/** flannel's file, which a reboot removes; `$WIREGUARD_KEY_FILE` names another. */
export const FLANNEL_KEY_FILE = "/run/flannel/wgkey";

const VERSION = 1;
const OWNER_ONLY = { mode: 0o600, keepMode: false, directoryMode: 0o700 };

/** Provides the key. */
export interface WireguardKeys {
  /**
   * Always the same one while the process runs.
   *
   * @param underlayMac A key that was made on another underlay is not used: the
   * machine is a clone, and no two hosts may have one key.
   */
  load(underlayMac: string): Promise<WireguardKey>;
}

/** Where the key is. */
export interface KeyFileOptions {
  /** Loden's file; it is only read by its owner. */
  readonly path: string;
  /** flannel's file, which is taken over if Loden has none. */
  readonly flannelPath: string;
  readonly random: RandomSource;
}

/** A key that must not be replaced by a new one silently. Its code is `backend.key`. */
export class BadKeyFileError extends LodenError {
  readonly retryable = false;

  constructor(path: string, rule: string) {
    super(
      "backend.key",
      `Cannot use the WireGuard key in ${path}: it must be ${rule}: ` +
        "current value is not shown",
      { hint: `remove the file for a new key: rm ${path}` },
    );
  }
}

/** The key in a file of the state directory. */
export class KeyFile implements WireguardKeys {
  readonly #options: KeyFileOptions;
  #loaded: Promise<WireguardKey> | undefined;
  /** The underlay that the file names. */
  #savedFor: string | undefined;

  constructor(options: KeyFileOptions) {
    this.#options = options;
  }

  async load(underlayMac: string): Promise<WireguardKey> {
    this.#loaded ??= this.#find(underlayMac).catch((error) => {
      this.#loaded = undefined;
      throw error;
    });
    const key = await this.#loaded;
    // The host may have moved to another underlay since.
    if (this.#savedFor !== underlayMac) {
      this.#savedFor = underlayMac;
      await this.#save(key, underlayMac);
    }
    return key;
  }

  async #find(underlayMac: string): Promise<WireguardKey> {
    const { flannelPath, random } = this.#options;
    const saved = await this.#readOwn(underlayMac);
    if (saved !== undefined) return saved;
    const flannels = await readIfThere(flannelPath);
    const key = flannels === undefined
      ? WireguardKey.make(random)
      : new WireguardKey(keyBytes(flannels.trim(), flannelPath));
    log.info("WireGuard key is new on this host", {
      event: "backend.key-new",
      publicKey: key.publicKey,
      source: flannels === undefined ? "made" : flannelPath,
    });
    return key;
  }

  /** A file that is right already, its permissions too, is left alone. */
  async #save(key: WireguardKey, underlayMac: string): Promise<void> {
    const { path } = this.#options;
    const text = JSON.stringify({
      version: VERSION,
      underlayMac,
      privateKey: key.reveal().toBase64(),
    });
    try {
      await writeFileAtomically(path, `${text}\n`, OWNER_ONLY);
    } catch (error) {
      log.warn(
        "WireGuard key cannot be saved: the next start has another one",
        {
          event: "backend.key-not-saved",
          path,
          reason: describeError(error),
        },
      );
    }
  }

  /** The key of this host; `undefined` if there is none, or another host's. */
  async #readOwn(underlayMac: string): Promise<WireguardKey | undefined> {
    const { path } = this.#options;
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    const file = v.safeParse(fileSchema, text);
    if (!file.success) throw new BadKeyFileError(path, "as Loden wrote it");
    const { privateKey, underlayMac: savedMac } = file.output;
    if (savedMac !== underlayMac) {
      log.warn("WireGuard key belongs to another underlay and is not used", {
        event: "backend.key-other-underlay",
        path,
        savedMac,
        underlayMac,
      });
      return undefined;
    }
    return new WireguardKey(keyBytes(privateKey, path));
  }
}

const fileSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    version: v.literal(VERSION),
    underlayMac: v.string(),
    privateKey: v.string(),
  }),
);

function keyBytes(text: string, path: string): Uint8Array {
  const bytes = parseWireguardKey(text);
  if (bytes === undefined) {
    throw new BadKeyFileError(path, "32 bytes in base64");
  }
  return bytes;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isAbsent) return undefined;
    throw new FileReadError(path, error);
  }
}
