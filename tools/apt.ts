/**
 * Installing Debian packages so that nothing but their files comes with them.
 *
 * `etcd-server` and `prometheus` start a server when they are installed, and
 * would start it at every boot. Here they are wanted as programs only, so service
 * starts are refused while apt runs (policy-rc.d, `invoke-rc.d(8)`) and the
 * packages' units are left disabled.
 *
 * @module
 */

import { LodenError } from "../errors.ts";
import type { PackageHost } from "./packages.ts";

const POLICY_FILE = "/usr/sbin/policy-rc.d";
/** "Action forbidden by policy", `invoke-rc.d(8)`. */
const POLICY = "#!/bin/sh\n# Written by loden while it installs packages.\n" +
  "exit 101\n";
const SERVICES = ["etcd", "prometheus"];

/** apt-get failed. `code` is `packages.apt`. */
export class AptError extends LodenError {
  constructor(args: readonly string[], code: number, lastLines: string) {
    super(
      "packages.apt",
      `Cannot install packages: apt-get ${args[0]} must end with code 0: ` +
        `current value is ${code}:\n${lastLines}`,
    );
  }
}

/** The machine that this process runs on. */
export class AptHost implements PackageHost {
  readonly #report: (line: string) => void;
  #policyIsOurs = false;

  /** `report` is told what apt is at, one line each. */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  hasProgram(name: string): boolean {
    return hasProgram(name);
  }

  isRoot(): boolean {
    return Deno.uid() === 0;
  }

  async install(
    packages: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    // A service that is already installed keeps its own settings.
    const services = SERVICES.filter((service) => !hasUnit(service));
    this.#refuseServiceStarts();
    try {
      this.#report("apt-get update");
      const said = await aptGet(["update", "-q"], signal);
      for (const line of failuresOfUpdate(said)) this.#report(line);
      const args = ["install", "-y", "--no-install-recommends", ...packages];
      this.#report(`apt-get ${args.join(" ")}`);
      await aptGet(args, signal);
    } finally {
      this.abandon();
    }
    await disable(services.filter(hasUnit));
  }

  /** Takes the policy back, whatever apt is doing. Safe to call at any time. */
  abandon(): void {
    if (!this.#policyIsOurs) return;
    this.#policyIsOurs = false;
    Deno.removeSync(POLICY_FILE);
  }

  #refuseServiceStarts(): void {
    try {
      Deno.writeTextFileSync(POLICY_FILE, POLICY, {
        createNew: true,
        mode: 0o755,
      });
      this.#policyIsOurs = true;
    } catch (error) {
      // Somebody has a policy already, as container images do: it stays.
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

function hasProgram(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${name}`).isFile;
    } catch {
      // Neither an unreadable nor a missing directory can run a program.
      return false;
    }
  });
}

function hasUnit(service: string): boolean {
  return ["/usr/lib/systemd/system", "/lib/systemd/system"].some(
    (directory) => {
      try {
        return Deno.statSync(`${directory}/${service}.service`).isFile;
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    },
  );
}

async function disable(services: readonly string[]): Promise<void> {
  if (services.length === 0 || !hasProgram("systemctl")) return;
  await new Deno.Command("systemctl", {
    args: ["--no-reload", "disable", ...services],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
}

/**
 * The mirrors that did not answer. `apt-get update` ends with code 0 all the same
 * and keeps the former lists, which may be enough.
 */
export function failuresOfUpdate(said: string): string[] {
  return said.split("\n").filter((line) => line.startsWith("W: Failed to"));
}

/**
 * Ctrl-C must not reach dpkg half way through a package: apt-get runs in a
 * session of its own, and an abort asks it alone to stop, which it does after
 * the step that it is at.
 */
async function aptGet(
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  const child = new Deno.Command("apt-get", {
    args: [...args],
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const stop = () => child.kill("SIGINT");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { code, stdout, stderr } = await child.output();
    signal.throwIfAborted();
    const text = new TextDecoder();
    const said = text.decode(stdout) + text.decode(stderr);
    if (code === 0) return said;
    throw new AptError(
      args,
      code,
      said.trimEnd().split("\n").slice(-10).join("\n"),
    );
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
