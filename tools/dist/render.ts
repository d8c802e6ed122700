/**
 * The files of an installation that are rendered rather than copied.
 *
 * @module
 */

import { commandTable } from "../../commands/table.ts";
import { renderCompletion } from "../../commands/completion/completion.ts";
import { AGENT_FLAGS } from "../../config/flags.ts";
import { renderManPage } from "../docs/man_page.ts";
import type { RenderedFiles } from "./layout.ts";
import { readLicence, renderLicences } from "./licences.ts";
import {
  embeddedPackages,
  type LockFile,
  type ModuleGraph,
} from "./npm_packages.ts";
import { output, ROOT } from "./process.ts";
import type { Release } from "./release.ts";
import { type LicensedPackage, renderSbom } from "./sbom.ts";

/** @throws {DistError} */
export async function renderFiles(
  { epochSeconds, runtime, version }: Release,
): Promise<RenderedFiles> {
  const packages = await licensedPackages();
  const input = {
    program: "loden",
    flags: AGENT_FLAGS,
    commands: commandTable,
  };
  return {
    manPage: renderManPage({
      epochSeconds,
      cli: await Deno.readTextFile(`${ROOT}docs/cli.md`),
    }),
    sbom: renderSbom({ version, runtime }, packages),
    licences: await renderLicences(packages.values()),
    completions: {
      bash: renderCompletion("bash", input),
      fish: renderCompletion("fish", input),
      zsh: renderCompletion("zsh", input),
    },
    documents: ["", "notes/"].flatMap((directory) =>
      [...Deno.readDirSync(`${ROOT}docs/${directory}`)]
        .filter(({ isFile }) => isFile)
        .map(({ name }) => `${directory}${name}`)
    ).sort(),
  };
}

async function licensedPackages(): Promise<Map<string, LicensedPackage>> {
  const graph: ModuleGraph = JSON.parse(
    await output([Deno.execPath(), "info", "--json", "cli.ts"]),
  );
  const lock: LockFile = JSON.parse(
    await Deno.readTextFile(`${ROOT}deno.lock`),
  );
  const packages = new Map<string, LicensedPackage>();
  for (const [key, each] of embeddedPackages(graph, lock)) {
    packages.set(key, await readLicence(each));
  }
  return packages;
}
