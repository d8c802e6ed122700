/**
 * The content of one row of the flag table.
 *
 * @module
 */

/** The flannel version that has the flag; `loden` for our own. */
export type FlagOrigin = "flannel" | "flannel 0.5" | "flannel HEAD" | "loden";

/** The headings of `--help`, in their order. */
export const FLAG_GROUPS = [
  "etcd",
  "Interface",
  "Data path",
  "Lease",
  "Firewall and routes",
  "Files",
  "Health and logs",
  "General",
  "Accepted and ignored",
  "Refused",
] as const;

/** A heading of `--help`. */
export type FlagGroup = typeof FLAG_GROUPS[number];

/**
 * What happens with a flag that is given.
 *
 * - `active`: it has the effect that its help describes.
 * - `ignored`: accepted with a warning, so that scripts for flannel run.
 * - `refused`: a one-line error and exit code 2, unless its value is the
 *   default.
 */
export type FlagStatus =
  | { readonly kind: "active" }
  | { readonly kind: "ignored"; readonly reason: string }
  | {
    readonly kind: "refused";
    readonly reason: string;
    readonly hint: string;
  };

/** The properties of every flag. */
export interface FlagBase {
  /** As on the command line, without dashes. */
  readonly name: string;
  readonly group: FlagGroup;
  readonly origin: FlagOrigin;
  readonly status: FlagStatus;
  /** One line, without a full stop. */
  readonly help: string;
  /** Its value is never shown. */
  readonly secret?: true;
  /** Accepted on the command line only (compat 1.1). */
  readonly commandLineOnly?: true;
}

/** Any text. */
export interface StringFlag extends FlagBase {
  readonly type: "string";
  readonly default: string;
  /** What the value is, for help and completion. */
  readonly placeholder: string;
  /** The value of the bare flag; another one must be joined with `=`. */
  readonly bareValue?: string;
}

/** One of Go's words for true and false (compat 1.1). */
export interface BoolFlag extends FlagBase {
  readonly type: "bool";
  readonly default: boolean;
}

/** A Go integer literal (compat 1.1) from `min` to `max`. */
export interface IntFlag extends FlagBase {
  readonly type: "int";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** The unit; `undefined` for a plain number. */
  readonly unit?: "minutes" | "seconds";
}

/** Repeatable; each time adds one element. */
export interface ListFlag extends FlagBase {
  readonly type: "list";
  readonly default: readonly string[];
  readonly placeholder: string;
}

/** One of a few words. */
export interface EnumFlag extends FlagBase {
  readonly type: "enum";
  readonly default: string;
  readonly words: readonly string[];
}

/** A row of a flag table. */
export type FlagSpec = StringFlag | BoolFlag | IntFlag | ListFlag | EnumFlag;

/** Whether a value must be joined with `=`, because none need follow. */
export function isValueJoined(flag: FlagSpec): boolean {
  return bareValue(flag) !== undefined;
}

/** What the flag means without a value; `undefined` if it needs one. */
export function bareValue(flag: FlagSpec): string | undefined {
  if (flag.type === "bool") return "true";
  return flag.type === "string" ? flag.bareValue : undefined;
}

/** A value of any flag. */
export type FlagValue = string | boolean | number | readonly string[];

/** The type of a flag's value. */
export type ValueOf<F extends FlagSpec> = F extends { type: "bool" } ? boolean
  : F extends { type: "int" } ? number
  : F extends { type: "list" } ? readonly string[]
  : F extends { type: "enum"; words: readonly (infer W)[] } ? W
  : string;

/** `FLANNELD_` and the name in capitals, with `_` for `-` (compat 1.2). */
export function environmentName(flag: FlagSpec): string {
  return `FLANNELD_${flag.name.toUpperCase().replaceAll("-", "_")}`;
}
