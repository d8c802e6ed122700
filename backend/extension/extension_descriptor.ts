/**
 * flannel's `extension` backend in the list of backends.
 *
 * @module
 */

import * as v from "valibot";
import type { BackendDescriptor } from "../backend_descriptor.ts";
import { CommandsNotAllowedError } from "./errors.ts";
import { blindInspector } from "../inspection.ts";
import { ExtensionBackend } from "./extension_backend.ts";

const OPTIONS = {
  PreStartupCommand: command(
    "runs before the lease is written; its output is the lease's BackendData",
  ),
  PostStartupCommand: command("runs when the lease is held"),
  SubnetAddCommand: command("runs for each peer, with its data as input"),
  SubnetRemoveCommand: command("the same for each peer that leaves"),
};
const optionsSchema = v.object(OPTIONS);

/** See {@linkcode ExtensionBackend}. */
export const extensionDescriptor: BackendDescriptor = {
  type: "extension",
  options: OPTIONS,
  examples: {
    PreStartupCommand: "/usr/local/bin/overlay-key",
    PostStartupCommand: "/usr/local/bin/overlay-up",
    SubnetAddCommand: "/usr/local/bin/overlay-add",
    SubnetRemoveCommand: "/usr/local/bin/overlay-remove",
  },
  overlayMtuBytes: (_options, underlayMtuBytes) => underlayMtuBytes,
  deviceName: () => undefined,
  runsAlone: "Loden does not know what its commands have set up",
  refusal: ({ allowsCommands }) =>
    allowsCommands ? undefined : new CommandsNotAllowedError(),
  inspector: () =>
    blindInspector("commands of the network config carry the packets"),
  create({ extension }, options) {
    const given = v.parse(optionsSchema, options);
    return new ExtensionBackend(extension, {
      preStartup: given.PreStartupCommand,
      postStartup: given.PostStartupCommand,
      subnetAdd: given.SubnetAddCommand,
      subnetRemove: given.SubnetRemoveCommand,
    });
  },
};

function command(description: string) {
  return v.optional(
    v.pipe(
      v.string("a text"),
      v.regex(/^$|\S/, "a command, or left out"),
      v.description(description),
    ),
    "",
  );
}
