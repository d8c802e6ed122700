/**
 * Debian packages of other suites than the machine's own, without touching the
 * machine's apt: apt runs on lists and a cache of its own, from the mirrors that
 * the machine uses, and a package is unpacked, never installed.
 *
 * @module
 */

import { run } from "../../tools/command.ts";

const SOURCES = "/etc/apt/sources.list.d/debian.sources";
/** Both end in the same way on every mirror. */
const MIRRORS = {
  main: /^URIs:\s*(\S+\/debian)\/?\s*$/m,
  security: /^URIs:\s*(\S+\/debian-security)\/?\s*$/m,
} as const;

/** An apt of its own in a directory. */
export class DebianArchive {
  readonly #directory: string;
  readonly #architecture: string;
  readonly #signal: AbortSignal;

  private constructor(
    directory: string,
    architecture: string,
    signal: AbortSignal,
  ) {
    this.#directory = directory;
    this.#architecture = architecture;
    this.#signal = signal;
  }

  /**
   * Fetches the lists of `suites` into `directory`: some ten seconds.
   *
   * @param architecture Debian's name: `arm64`.
   */
  static async open(
    directory: string,
    suites: readonly string[],
    architecture: string,
    signal: AbortSignal,
  ): Promise<DebianArchive> {
    for (const name of ["lists/partial", "archives/partial", "parts"]) {
      await Deno.mkdir(`${directory}/${name}`, { recursive: true });
    }
    const machine = await Deno.readTextFile(SOURCES);
    const lines = suites.map((suite) => sourceLine(machine, suite));
    await Deno.writeTextFile(`${directory}/sources.list`, lines.join(""));
    const archive = new DebianArchive(directory, architecture, signal);
    // Without the option, a mirror that does not answer is a warning.
    await archive.#apt(["apt-get", "--quiet", "--error-on=any", "update"]);
    return archive;
  }

  /**
   * The packages whose names match `pattern`, a regular expression; the newest
   * first. Kernels have their version in the name.
   */
  async candidates(pattern: string): Promise<string[]> {
    const found = await this.#apt(
      ["apt-cache", "search", "--names-only", `^${pattern}$`],
    );
    const names = found.split("\n").map((line) => line.split(" ")[0]!)
      .filter((name) => name !== "");
    if (names.length === 0) {
      throw new Error(
        `Cannot find a kernel: a Debian package must match ${pattern}: none does`,
      );
    }
    return names.sort(byVersion).reverse();
  }

  /**
   * Unpacks the first of `candidates` that can be had below `target`: the lists
   * of old suites name packages that are gone.
   */
  async unpackFirst(
    candidates: readonly string[],
    target: string,
  ): Promise<void> {
    const directory = await Deno.makeTempDir({ dir: this.#directory });
    let refusal: unknown;
    for (const name of candidates) {
      try {
        await this.#apt(["apt-get", "--quiet", "download", name], directory);
        refusal = undefined;
        break;
      } catch (error) {
        this.#signal.throwIfAborted();
        refusal = error;
      }
    }
    if (refusal !== undefined) throw refusal;
    for (const { name } of Deno.readDirSync(directory)) {
      await run(["dpkg", "-x", `${directory}/${name}`, target], this.#options);
    }
    await Deno.remove(directory, { recursive: true });
  }

  get #options(): { signal: AbortSignal } {
    return { signal: this.#signal };
  }

  #apt(
    [program, ...words]: readonly string[],
    directory = this.#directory,
  ): Promise<string> {
    const own = this.#directory;
    const settings = [
      `APT::Architecture=${this.#architecture}`,
      `APT::Architectures=${this.#architecture}`,
      `Dir::Etc::SourceList=${own}/sources.list`,
      `Dir::Etc::SourceParts=${own}/parts`,
      `Dir::Etc::PreferencesParts=${own}/parts`,
      `Dir::State::Lists=${own}/lists`,
      `Dir::Cache=${own}`,
      "Acquire::Languages=none",
      // Downloads go to this directory, whatever its permissions.
      "APT::Sandbox::User=root",
    ];
    const command = [
      program!,
      ...settings.flatMap((setting) => ["--option", setting]),
      ...words,
    ];
    return run(["env", "--chdir", directory, ...command], this.#options);
  }
}

function sourceLine(machine: string, suite: string): string {
  const kind = suite.endsWith("-security") ? "security" : "main";
  const mirror = MIRRORS[kind].exec(machine)?.[1];
  if (mirror === undefined) {
    throw new Error(
      `Cannot fetch kernels: ${SOURCES} must name Debian's ${kind} mirror`,
    );
  }
  const keyring = "/usr/share/keyrings/debian-archive-keyring.pgp";
  return `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`;
}

/** `6.12.9` before `6.12.118`. */
function byVersion(left: string, right: string): number {
  return left.localeCompare(right, "en", { numeric: true });
}
