/**
 * What this user cannot see.
 *
 * @module
 */

import type { Check } from "../check.ts";

/** See the module. */
export const rightsCheck: Check = {
  name: "rights",
  run: ({ isRoot }) =>
    isRoot ? [] : [{
      code: "doctor.rights",
      severity: "note",
      what: "rights",
      value: "not root: kernel features, firewall rules, Docker's answers, " +
        "saved state and the agent's socket are not looked at",
      fix: "sudo loden doctor",
    }],
};
