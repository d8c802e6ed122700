/**
 * Where a value came from.
 *
 * @module
 */

/** The sources, the strongest first. */
export type SettingSource = "flag" | "env" | "file" | "default";

/** The source of one value, and its name there. */
export interface Provenance {
  readonly source: SettingSource;
  /**
   * As a person would look for it: `--iface`, `FLANNELD_IFACE`,
   * `coreos.flannel.interface in /etc/loden.yaml`; empty for a default.
   */
  readonly detail: string;
}

/** The source as it begins a sentence: `FLANNELD_IFACE in the environment`. */
export function describeProvenance(
  provenance: Provenance,
  flagName: string,
): string {
  switch (provenance.source) {
    case "flag":
      return `${provenance.detail} on the command line`;
    case "env":
      return `${provenance.detail} in the environment`;
    case "file":
      return provenance.detail;
    case "default":
      return `the default of --${flagName}`;
  }
}
