/**
 * What `loden cloud-config apply` will do, as a value: the files that
 * coreos-cloudinit would write, on a host that keeps them, and systemd's
 * commands.
 *
 * @module
 */

import { join } from "node:path/posix";
import type {
  CloudConfigDocument,
  FileEntry,
  UnitEntry,
} from "../../config/cloud_config_document.ts";
import type { FileSetting } from "../../config/cloud_config.ts";
import { badValueError, CloudConfigError } from "../../config/errors.ts";
import { environmentName } from "../../config/flag_spec.ts";

/** Where `loden.service` reads the settings of `coreos.flannel`. */
export const OPTIONS_FILE = "/etc/loden/options.env";
/** The agent's unit: its name in CoreOS's files, and its own name. */
const ALIAS = "flanneld.service";
const AGENT_UNIT = "loden.service";
const UNIT_DIRECTORY = "/etc/systemd/system";
const RUNTIME_UNIT_DIRECTORY = "/run/systemd/system";
/**
 * CoreOS applied a cloud-config at each boot, so these commands have to survive
 * one.
 */
const BOOT_TARGET = "multi-user.target";
const STARTING: readonly string[] = [
  ...["start", "restart", "reload-or-restart"],
];
/** It may contain etcd's password. */
const OPTIONS_MODE = 0o600;
const UNIT_MODE = 0o644;

/** A file as it should be. */
export interface PlannedFile {
  readonly path: string;
  readonly content: string | Uint8Array<ArrayBuffer>;
  readonly mode: number;
  /** `user:group`; `undefined` for the user who applies it. */
  readonly owner: string | undefined;
  /** Whether it replaces a link: an alias or a mask. */
  readonly isUnit: boolean;
}

/** The words after `systemctl`. */
export interface PlannedCommand {
  readonly words: readonly string[];
  /** Whether it needs a running service manager, not only the files. */
  readonly live: boolean;
}

/** The plan, in the order in which it is carried out. */
export interface CloudConfigPlan {
  readonly files: readonly PlannedFile[];
  readonly commands: readonly PlannedCommand[];
  /** For people: what is ignored, and what will not work as it is. */
  readonly notes: readonly string[];
}

/**
 * Plans a document.
 *
 * @param settings the content of `coreos.flannel`; `undefined` without that
 * section.
 */
export async function planCloudConfig(
  { files, leftOut, units }: CloudConfigDocument,
  settings: readonly FileSetting[] | undefined,
): Promise<CloudConfigPlan> {
  const planned: PlannedFile[] = [];
  for (const file of files) planned.push(await planFile(file));
  if (settings !== undefined) planned.push(planOptions(settings));
  planned.push(...units.flatMap(planUnitFiles));
  return {
    files: planned,
    commands: planCommands(units),
    notes: [
      ...leftOut.map((each) => `left out: ${each}`),
      ...units.flatMap(unitNotes),
    ],
  };
}

async function planFile(file: FileEntry): Promise<PlannedFile> {
  const { mode, owner, path } = file;
  return { path, mode, owner, isUnit: false, content: await decode(file) };
}

async function decode(
  { content, encoding, path }: FileEntry,
): Promise<string | Uint8Array<ArrayBuffer>> {
  if (encoding === "plain") return content;
  try {
    const bytes = Uint8Array.fromBase64(content);
    if (encoding === "base64") return bytes;
    const stream = new Blob([bytes]).stream()
      .pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new CloudConfigError(
      "cloud-config.encoding",
      `Cannot apply the cloud-config: the content of ${path} must be ` +
        `${encoding}: current value cannot be decoded`,
      { cause },
    );
  }
}

function planOptions(settings: readonly FileSetting[]): PlannedFile {
  const lines = settings.map((setting) =>
    `${environmentName(setting.flag)}=${quote(textOf(setting))}\n`
  );
  return {
    path: OPTIONS_FILE,
    content: lines.join(""),
    mode: OPTIONS_MODE,
    owner: undefined,
    isUnit: false,
  };
}

function textOf({ detail, value }: FileSetting): string {
  if (typeof value !== "object") return String(value);
  const [only, second] = value;
  if (second === undefined) return only ?? "";
  throw badValueError({
    where: detail,
    rule: "one value, because the unit's environment has no lists",
    current: value,
    hint: "keep the list in a file of --config, and name that in " +
      "FLANNELD_CONFIG in /etc/default/loden",
  });
}

/** As systemd.exec(5) reads an EnvironmentFile. */
function quote(text: string): string {
  if (/^[\w.,:/@%+=~-]*$/.test(text)) return text;
  return `"${text.replaceAll(/["\\`$]/g, "\\$&")}"`;
}

function planUnitFiles(unit: UnitEntry): PlannedFile[] {
  if (unit.content !== undefined && unit.name === ALIAS) {
    throw new CloudConfigError(
      "cloud-config.alias",
      `Cannot apply the cloud-config: ${ALIAS} must be an alias of ` +
        `${AGENT_UNIT}: current value has a content of its own`,
      { hint: "remove the content; use drop-ins to change the unit" },
    );
  }
  const directory = unit.runtime ? RUNTIME_UNIT_DIRECTORY : UNIT_DIRECTORY;
  const own = unit.content === undefined || unit.mask
    ? []
    : [[unit.name, unit.content] as const];
  return [
    ...own,
    ...unit.dropIns.map(({ content, name }) =>
      [`${unit.name}.d/${name}`, content] as const
    ),
  ].map(([name, content]) => ({
    path: join(directory, name),
    content: content.endsWith("\n") ? content : `${content}\n`,
    mode: UNIT_MODE,
    owner: undefined,
    isUnit: true,
  }));
}

function planCommands(units: readonly UnitEntry[]): PlannedCommand[] {
  const now = units.flatMap(({ command, name }) =>
    // Like coreos-cloudinit, does not wait: a unit may wait for one further
    // down.
    command === undefined ? [] : [["--no-block", command, name]]
  );
  return [
    ...units.flatMap(planBoot).map((words) => ({ words, live: false })),
    { words: ["daemon-reload"], live: true },
    ...now.map((words) => ({ words, live: true })),
  ];
}

/**
 * Makes the change survive a reboot, because coreos-cloudinit ran at each boot.
 */
function planBoot(
  { command, enable, mask, name, runtime }: UnitEntry,
): string[][] {
  const until = runtime ? ["--runtime"] : [];
  if (mask) return [["mask", ...until, name]];
  const starts = command !== undefined && STARTING.includes(command);
  if (name === ALIAS) {
    // This creates the alias, too.
    return enable || starts ? [["enable", ...until, AGENT_UNIT]] : [];
  }
  return [
    ...enable ? [["enable", ...until, name]] : [],
    // Works for a unit without an [Install] section as well.
    ...starts ? [["add-wants", ...until, BOOT_TARGET, name]] : [],
  ];
}

/**
 * CoreOS's own example publishes the network config with `etcdctl set`, which
 * uses API v2; etcd 3.4 and later do not serve it.
 */
function unitNotes({ content = "", dropIns, name }: UnitEntry): string[] {
  return [content, ...dropIns.map((each) => each.content)]
    .flatMap((text) => text.split("\n"))
    .flatMap((line) => {
      const match =
        /^(Exec\w+=[-+!@:]*)\S*etcdctl\s+(?:set|mk)\s+(\S+)\/config\s+(.*)$/
          .exec(line.trim());
      if (match === null) return [];
      const [, key, prefix, json] = match;
      const flag = prefix === "/coreos.com/network"
        ? ""
        : `--etcd-prefix=${prefix} `;
      return [
        `${name}: etcdctl set speaks etcd's API of version 2, which etcd has ` +
        `no more; write ${key}/usr/bin/loden config put ${flag}${json}`,
      ];
    });
}
