/**
 * A cloud-config's YAML.
 *
 * @module
 */

import { CloudConfigError } from "./errors.ts";

/**
 * Parses YAML into mappings, lists and texts; every value keeps its text.
 *
 * @param path of the file, for the message.
 * @throws {CloudConfigError} `cloud-config.syntax`.
 */
export async function parseCloudConfigYaml(
  content: string,
  path: string,
): Promise<unknown> {
  // Loaded only on hosts that have such a file.
  const { parse } = await import("@std/yaml");
  try {
    return parse(content, { schema: "failsafe" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CloudConfigError(
      "cloud-config.syntax",
      `Cannot read the settings: ${path} must be YAML: ${
        reason.split("\n")[0]!.replace(/:$/, "")
      }`,
      { cause, hint: "see docs/configuration.md for an example" },
    );
  }
}
