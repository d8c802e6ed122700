/**
 * What a network config may contain for a backend. The backends are not known
 * here: the caller passes their specs.
 *
 * @module
 */

import type { GenericSchema } from "valibot";

/** A backend's part of a network config. */
export interface BackendSpec {
  /** flannel's name, in lower case. */
  readonly type: string;
  /** The options by flannel's names, each optional; the messages end "… must be". */
  readonly options: Readonly<Record<string, GenericSchema>>;
  /** Options whose values no error shows. */
  readonly secretOptions?: readonly string[];
  /** A valid value of each option, for error messages. */
  readonly examples: Readonly<Record<string, unknown>>;
}

/** What a config is read with. */
export interface BackendCatalog {
  /** The first one is the default. */
  readonly specs: readonly BackendSpec[];
  /** flannel's other backends, and what to use in their place. */
  readonly unavailable: Readonly<Record<string, string>>;
}

/** The backend of a config, and its options by flannel's names. */
export interface BackendConfig {
  readonly type: string;
  /** Checked against the backend's spec, with its defaults. */
  readonly options: Readonly<Record<string, unknown>>;
}
