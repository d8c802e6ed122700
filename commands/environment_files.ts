/**
 * The environment files of `loden.service`.
 *
 * @module
 */

/** In the unit's order: the last one wins. */
export const ENVIRONMENT_FILES: readonly string[] = [
  "/run/flannel/options.env",
  "/etc/loden/options.env",
  "/etc/default/loden",
];
