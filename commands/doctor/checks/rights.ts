/**
 * What this user cannot see.
 *
 * @module
 */

import type { Check } from "../check.ts";
import { findingOn } from "../finding.ts";

/** See the module. */
export const rightsCheck: Check = {
  name: "rights",
  run: ({ isRoot }) =>
    isRoot ? [] : [
      findingOn("doctor.rights", "rights").note(
        "not root: kernel features, firewall rules, Docker's answers, " +
          "saved state and the agent's socket are not looked at",
        "sudo loden doctor",
      ),
    ],
};
