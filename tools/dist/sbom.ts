/**
 * What is inside the binary, as a CycloneDX 1.6 bill of materials.
 *
 * It has no serial number and no time: the same sources give the same bytes.
 *
 * @module
 */

import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import type { NpmPackage } from "./npm_packages.ts";
import type { PackedRuntime } from "./release.ts";

/** A package, and the SPDX expression of its licence. */
export interface LicensedPackage extends NpmPackage {
  readonly licence: string;
}

/** What the bill is for. */
export interface SbomSubject {
  readonly version: string;
  /** What is in the binary beside the program. */
  readonly runtime: PackedRuntime;
}

/** The whole document, JSON, ended by LF. */
export function renderSbom(
  { runtime: { denoVersion, recovered }, version }: SbomSubject,
  packages: ReadonlyMap<string, LicensedPackage>,
): string {
  const loden = new Models.Component(
    Enums.ComponentType.Application,
    "loden",
    { version, bomRef: `loden@${version}` },
  );
  loden.licenses.add(new Models.SpdxLicense("Apache-2.0"));
  const runtime = new Models.Component(
    Enums.ComponentType.Platform,
    "deno",
    {
      version: denoVersion,
      bomRef: `deno@${denoVersion}`,
      purl: `pkg:github/denoland/deno@v${denoVersion}`,
    },
  );
  runtime.licenses.add(new Models.SpdxLicense("MIT"));
  runtime.description = `denort, ${recovered?.origin ?? "official"}`;
  if (recovered !== undefined) {
    runtime.hashes.set(Enums.HashAlgorithm["SHA-256"], recovered.sha256);
  }
  const components = new Map(
    [...packages].map(([key, each]) => [key, componentOf(key, each)]),
  );
  for (const [key, { dependencies }] of packages) {
    for (const dependency of dependencies) {
      const { bomRef } = components.get(dependency)!;
      components.get(key)!.dependencies.add(bomRef);
    }
  }
  const bom = new Models.Bom();
  bom.metadata.component = loden;
  for (const component of [runtime, ...components.values()]) {
    bom.components.add(component);
    loden.dependencies.add(component.bomRef);
  }
  const normalize = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  const json = new Serialize.JsonSerializer(normalize)
    .serialize(bom, { sortLists: true, space: 2 });
  return `${json}\n`;
}

function componentOf(key: string, each: LicensedPackage): Models.Component {
  const slash = each.name.indexOf("/");
  const component = new Models.Component(
    Enums.ComponentType.Library,
    each.name.slice(slash + 1),
    {
      ...slash > 0 ? { group: each.name.slice(0, slash) } : {},
      version: each.version,
      bomRef: key,
      // package-url/purl-spec, npm: the "@" of a scope is encoded.
      purl: `pkg:npm/${each.name.replace("@", "%40")}@${each.version}`,
    },
  );
  component.licenses.add(
    /^[\w.-]+$/.test(each.licence)
      ? new Models.SpdxLicense(each.licence)
      : new Models.LicenseExpression(each.licence),
  );
  component.hashes.set(
    Enums.HashAlgorithm["SHA-512"],
    Uint8Array.fromBase64(each.sha512).toHex(),
  );
  return component;
}
