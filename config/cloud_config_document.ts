/**
 * What a cloud-config asks of a host beyond `coreos.flannel`: units, their
 * drop-ins, and files, as coreos-cloudinit reads them (its `config/` package).
 *
 * @module
 */

import { CloudConfigError } from "./errors.ts";
import { nearMatch } from "./near_match.ts";
import { lineOf, type YamlStep } from "./yaml_lines.ts";

/** What systemctl does with a unit after it is written. */
const UNIT_COMMANDS = [
  "start",
  "stop",
  "restart",
  "reload",
  "try-restart",
  "reload-or-restart",
  "reload-or-try-restart",
] as const;

/** A word of {@linkcode UNIT_COMMANDS}. */
export type UnitCommand = typeof UNIT_COMMANDS[number];

/** `coreos.units[].drop_ins[]`. */
export interface DropIn {
  /** `50-network-config.conf`. */
  readonly name: string;
  readonly content: string;
}

/** `coreos.units[]`. */
export interface UnitEntry {
  readonly name: string;
  /** The unit's own file; `undefined` if another package provides it. */
  readonly content: string | undefined;
  readonly dropIns: readonly DropIn[];
  readonly command: UnitCommand | undefined;
  readonly enable: boolean;
  readonly mask: boolean;
  /** Until the next boot only. */
  readonly runtime: boolean;
}

/** `write_files[]`. */
export interface FileEntry {
  readonly path: string;
  readonly content: string;
  readonly encoding: FileEncoding;
  /** Permission bits. */
  readonly mode: number;
  /** `user:group`, names or numbers; `undefined` for root's. */
  readonly owner: string | undefined;
}

/** How a file's content is encoded. */
export type FileEncoding = "plain" | "base64" | "gzip+base64";

/** The parts of a cloud-config that are applied. */
export interface CloudConfigDocument {
  readonly files: readonly FileEntry[];
  readonly units: readonly UnitEntry[];
  /**
   * What is ignored, for people: keys that other programs serve, and unknown
   * keys.
   */
  readonly leftOut: readonly string[];
}

/**
 * The first line, without which the file is something else, such as a script.
 */
const HEADER = "#cloud-config";
const DEFAULT_MODE = 0o644;
const UNIT_NAME =
  /^[A-Za-z0-9:_.\\@-]+\.(service|socket|target|timer|path|mount|automount|swap|slice|scope)$/;
const NETWORKD_NAME = /\.(network|netdev|link)$/;
const DROP_IN_NAME = /^[^/]+\.conf$/;

const ENCODINGS: Readonly<Record<string, FileEncoding>> = {
  "": "plain",
  b64: "base64",
  base64: "base64",
  "gz+b64": "gzip+base64",
  "gz+base64": "gzip+base64",
  "gzip+b64": "gzip+base64",
  "gzip+base64": "gzip+base64",
};

const UNIT_KEYS = [
  ...["name", "content", "drop_ins", "command", "enable", "mask", "runtime"],
];
const FILE_KEYS = ["path", "content", "encoding", "permissions", "owner"];

type Mapping = Readonly<Record<string, unknown>>;
type Path = readonly YamlStep[];

/**
 * @param document the result of parsing `text` as YAML with the failsafe
 * schema: mappings, lists and texts.
 * @param path of the file, for messages.
 * @throws {CloudConfigError} naming the line.
 */
export function readCloudConfigDocument(
  document: unknown,
  text: string,
  path: string,
): CloudConfigDocument {
  return new Reader(text, path).read(document);
}

class Reader {
  readonly #text: string;
  readonly #path: string;
  readonly #leftOut: string[] = [];

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  read(document: unknown): CloudConfigDocument {
    const [first] = this.#text.split("\n", 1);
    if (first!.trimEnd() !== HEADER) {
      this.#refuse([], "the first line", `be ${HEADER}`, first);
    }
    const root = this.#mapping(document, []);
    const coreos = this.#mapping(root.get("coreos"), ["coreos"]);
    const files = this.#list(root.get("write_files"), ["write_files"])
      .map(([node, at]) => this.#file(node, at));
    const units = this.#list(coreos.get("units"), ["coreos", "units"])
      .flatMap(([node, at]) => this.#unit(node, at));
    this.#leave(root, ["coreos", "write_files"], []);
    this.#leave(coreos, ["flannel", "units"], ["coreos"]);
    return { files, units, leftOut: this.#leftOut };
  }

  #unit(node: unknown, at: Path): UnitEntry[] {
    const keys = this.#mapping(node, at);
    this.#leave(keys, UNIT_KEYS, at);
    const name = this.#text_(keys, "name", at) ?? "";
    if (NETWORKD_NAME.test(name)) {
      this.#leftOut.push(`${this.#line(at)}: ${name} is systemd-networkd's`);
      return [];
    }
    if (!UNIT_NAME.test(name)) {
      this.#refuse(at, "name", "be a unit, such as redis.service", name);
    }
    const command = this.#text_(keys, "command", at);
    if (command !== undefined && !isUnitCommand(command)) {
      this.#refuse(
        [...at, "command"],
        "command",
        `be one of ${UNIT_COMMANDS.join(", ")}`,
        command,
      );
    }
    const dropInsAt = [...at, this.#spelling(node, "drop_ins")];
    return [{
      name,
      content: this.#text_(keys, "content", at),
      dropIns: this.#list(keys.get("drop_ins"), dropInsAt)
        .map(([node, at]) => this.#dropIn(node, at)),
      command,
      enable: this.#bool(keys, "enable", at),
      mask: this.#bool(keys, "mask", at),
      runtime: this.#bool(keys, "runtime", at),
    }];
  }

  #dropIn(node: unknown, at: Path): DropIn {
    const keys = this.#mapping(node, at);
    this.#leave(keys, ["name", "content"], at);
    const name = this.#text_(keys, "name", at) ?? "";
    if (!DROP_IN_NAME.test(name)) {
      this.#refuse(at, "name", "be a file name that ends in .conf", name);
    }
    return { name, content: this.#text_(keys, "content", at) ?? "" };
  }

  #file(node: unknown, at: Path): FileEntry {
    const keys = this.#mapping(node, at);
    this.#leave(keys, FILE_KEYS, at);
    const path = this.#text_(keys, "path", at) ?? "";
    if (!path.startsWith("/") || path.split("/").includes("..")) {
      this.#refuse(at, "path", "be absolute, without ..", path);
    }
    const permissions = this.#text_(keys, "permissions", at);
    if (permissions !== undefined && !/^[0-7]{3,5}$/.test(permissions)) {
      this.#refuse(at, "permissions", 'be octal, such as "0644"', permissions);
    }
    const word = this.#text_(keys, "encoding", at) ?? "";
    const encoding = Object.hasOwn(ENCODINGS, word)
      ? ENCODINGS[word]!
      : this.#refuse(
        at,
        "encoding",
        `be left out or one of ${Object.keys(ENCODINGS).slice(1).join(", ")}`,
        word,
      );
    return {
      path,
      content: this.#text_(keys, "content", at) ?? "",
      encoding,
      mode: permissions === undefined
        ? DEFAULT_MODE
        : Number.parseInt(permissions, 8) & 0o7777,
      owner: this.#text_(keys, "owner", at),
    };
  }

  /** Keys in one spelling: coreos-cloudinit takes `-` for `_`. */
  #mapping(node: unknown, at: Path): Map<string, unknown> {
    if (node === undefined || node === null || node === "") return new Map();
    if (typeof node !== "object" || Array.isArray(node)) {
      this.#refuse(at, "it", "be a mapping of keys to values", node);
    }
    return new Map(
      Object.entries(node as Mapping)
        .map(([key, value]) => [key.replaceAll("-", "_"), value]),
    );
  }

  #spelling(node: unknown, key: string): string {
    const keys = Object.keys(node as Mapping);
    return keys.find((each) => each.replaceAll("-", "_") === key) ?? key;
  }

  #list(node: unknown, at: Path): [unknown, Path][] {
    if (node === undefined || node === null || node === "") return [];
    if (!Array.isArray(node)) this.#refuse(at, "it", "be a list", node);
    return (node as unknown[]).map((item, index) => [item, [...at, index]]);
  }

  /** `undefined` for a key that is missing or has no value. */
  #text_(
    keys: Map<string, unknown>,
    key: string,
    at: Path,
  ): string | undefined {
    const node = keys.get(key);
    if (node === undefined || node === null || node === "") return undefined;
    if (typeof node === "string") return node;
    return this.#refuse([...at, key], key, "be a text", node);
  }

  #bool(keys: Map<string, unknown>, key: string, at: Path): boolean {
    const text = this.#text_(keys, key, at) ?? "false";
    if (/^(true|yes|on)$/i.test(text)) return true;
    if (/^(false|no|off)$/i.test(text)) return false;
    return this.#refuse([...at, key], key, "be true or false", text);
  }

  #leave(keys: Map<string, unknown>, known: readonly string[], at: Path) {
    for (const key of keys.keys()) {
      if (known.includes(key)) continue;
      const near = nearMatch(key, known);
      const guess = near === undefined ? "" : `: did you mean ${near}?`;
      this.#leftOut.push(
        `${this.#line([...at, key])}: ${placeOf([...at, key])}${guess}`,
      );
    }
  }

  #line(at: Path): string {
    return `line ${lineOf(this.#text, at)}`;
  }

  #refuse(at: Path, what: string, rule: string, current: unknown): never {
    const place = at.length === 0 ? "" : ` of ${placeOf(at)}`;
    throw new CloudConfigError(
      "cloud-config.document",
      `Cannot apply ${this.#path}: ${what}${place}, ${
        this.#line(at)
      }, must ${rule}: current value is ${JSON.stringify(current)}`,
    );
  }
}

function isUnitCommand(word: string): word is UnitCommand {
  return (UNIT_COMMANDS as readonly string[]).includes(word);
}

/** `coreos.units[0].name`. */
function placeOf(path: Path): string {
  return path.reduce<string>(
    (place, step) =>
      typeof step === "number"
        ? `${place}[${step}]`
        : place === ""
        ? step
        : `${place}.${step}`,
    "",
  );
}
