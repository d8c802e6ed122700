/**
 * The archive: the parts, a README that says what each is, and a manifest for
 * programs.
 *
 * @module
 */

import { createTar } from "nanotar";
import type { GatheredPart } from "./gather.ts";

/** An archive ends with two blocks of zeros, tar(5); nanotar may write none. */
const END_BYTES = 1_024;

/** What the README and the manifest say about the whole. */
export interface ArchiveFacts {
  /** Of the first directory. */
  readonly name: string;
  /** `loden bundle`, and with which flags that matter. */
  readonly version: string;
  readonly createdMs: number;
  readonly isAnonymized: boolean;
}

/** Text files, by their names. */
export type TextFiles = readonly (readonly [name: string, text: string])[];

/** The parts that have a text, and the two files about them. */
export function bundleFiles(
  parts: readonly GatheredPart[],
  facts: ArchiveFacts,
): TextFiles {
  return [
    ["README.txt", renderReadme(parts, facts)],
    ["manifest.json", renderManifest(parts, facts)],
    ...parts.flatMap(({ file, text }) =>
      text === undefined ? [] : [[file, text] as const]
    ),
  ];
}

function renderReadme(
  parts: readonly GatheredPart[],
  { createdMs, isAnonymized, version }: ArchiveFacts,
): string {
  const present = parts.filter(({ text }) => text !== undefined);
  const width = Math.max(0, ...present.map(({ file }) => file.length));
  const missing = describeMissing(parts);
  return [
    `Made by loden bundle, version ${version}, at ${timeOf(createdMs)}.`,
    "",
    "Passwords, keys and tokens are replaced by [removed]. Public keys and host",
    "ids are not secret, and stay.",
    ...isAnonymized
      ? [
        "Addresses and host names are replaced by pseudonyms. Each has the same one",
        "everywhere in this bundle and another one in each bundle. Addresses that",
        "are in one subnet have pseudonyms in one subnet.",
      ]
      : [
        "Addresses and host names are as they are: loden bundle --anonymize replaces",
        "them.",
      ],
    "Read what is in here before you send it to others.",
    "",
    ...present.map(({ about, file }) => `${file.padEnd(width)}  ${about}`),
    "",
    ...missing.length === 0
      ? ["Everything could be gathered."]
      : ["Not gathered:", ...missing.map((line) => `  ${line}`)],
    "",
  ].join("\n");
}

/** A line for each thing that the bundle lacks. */
export function describeMissing(parts: readonly GatheredPart[]): string[] {
  return parts.flatMap(({ file, missing }) =>
    missing.map((reason) => `${file}: ${reason}`)
  );
}

function renderManifest(
  parts: readonly GatheredPart[],
  { createdMs, isAnonymized, version }: ArchiveFacts,
): string {
  const manifest = {
    schema: 1,
    version,
    created: timeOf(createdMs),
    anonymized: isAnonymized,
    parts: parts.map(({ about, file, milliseconds, missing, text }) => ({
      file: text === undefined ? null : file,
      part: file,
      about,
      milliseconds,
      missing,
    })),
  };
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** The bytes of the `.tar.gz`. Only the owner can read what is unpacked. */
export function packFiles(
  files: TextFiles,
  { createdMs, name }: Pick<ArchiveFacts, "createdMs" | "name">,
): Promise<Uint8Array> {
  const attributes = { mtime: createdMs, uid: 0, gid: 0 };
  const archive = createTar([
    { name: `${name}/`, attrs: { ...attributes, mode: "700" } },
    ...files.map(([file, text]) => ({
      name: `${name}/${file}`,
      data: text,
      attrs: { ...attributes, mode: "600" },
    })),
  ]);
  const bytes = new Blob([
    new Uint8Array(archive),
    new Uint8Array(END_BYTES),
  ]).stream();
  return new Response(bytes.pipeThrough(new CompressionStream("gzip"))).bytes();
}
