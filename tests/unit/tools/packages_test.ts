import { assertEquals, assertRejects } from "@std/assert";
import {
  BENCH_REQUIREMENTS,
  benchRequirements,
  DEMO_REQUIREMENTS,
  ensurePackages,
  MissingPackagesError,
  type PackageHost,
  requirementsOfKernels,
  TEST_REQUIREMENTS,
} from "../../../tools/packages.ts";

const never = new AbortController().signal;

class FakeHost implements PackageHost {
  readonly programs: Set<string>;
  readonly installed: string[] = [];
  root = true;
  /** What an installation brings. */
  brings: readonly string[] = [];

  constructor(...programs: string[]) {
    this.programs = new Set(programs);
  }
  hasProgram(name: string): boolean {
    return this.programs.has(name);
  }
  isRoot(): boolean {
    return this.root;
  }
  install(packages: readonly string[]): Promise<void> {
    this.installed.push(...packages);
    for (const program of this.brings) this.programs.add(program);
    return Promise.resolve();
  }
}

const REQUIREMENTS = [
  { purpose: "one", programs: ["a", "b"], debianPackage: "ab" },
  { purpose: "two", programs: ["c"], debianPackage: "c-tools" },
];

const silent = () => {};

Deno.test("nothing is installed when all is there", async () => {
  const host = new FakeHost("a", "b", "c");
  await ensurePackages(REQUIREMENTS, host, silent, never);
  assertEquals(host.installed, []);
});

Deno.test("only what is missing is installed, and said", async () => {
  const host = new FakeHost("a", "c", "apt-get");
  host.brings = ["b"];
  const lines: string[] = [];
  await ensurePackages(REQUIREMENTS, host, (line) => lines.push(line), never);
  assertEquals(host.installed, ["ab"]);
  assertEquals(lines.length, 1);
});

Deno.test("without apt-get, programs and packages are named", async () => {
  const host = new FakeHost("a");
  const error = await assertRejects(
    () => ensurePackages(REQUIREMENTS, host, silent, never),
    MissingPackagesError,
    "a, b (one; Debian package ab); c (two; Debian package c-tools)",
  );
  assertEquals(error.hint, "there is no apt-get here to install them with");
});

Deno.test("without root, nothing is tried", async () => {
  const host = new FakeHost("apt-get");
  host.root = false;
  const error = await assertRejects(
    () => ensurePackages(REQUIREMENTS, host, silent, never),
    MissingPackagesError,
  );
  assertEquals(error.hint, "run this as root to install them");
  assertEquals(host.installed, []);
});

Deno.test("an installation that brings nothing is an error", async () => {
  const host = new FakeHost("apt-get");
  await assertRejects(
    () => ensurePackages(REQUIREMENTS, host, silent, never),
    MissingPackagesError,
  );
});

Deno.test("each list names a package once", () => {
  for (
    const list of [DEMO_REQUIREMENTS, BENCH_REQUIREMENTS, TEST_REQUIREMENTS]
  ) {
    const packages = list.map((requirement) => requirement.debianPackage);
    assertEquals(packages.length, new Set(packages).size);
  }
});

Deno.test("a program to compare with is required where it is measured, and only there", () => {
  const packages = (paths: readonly string[]) =>
    benchRequirements(paths).map(({ debianPackage }) => debianPackage);
  const own = packages(["vxlan", "udp-tun"]);
  assertEquals(own, BENCH_REQUIREMENTS.map((item) => item.debianPackage));
  assertEquals(
    packages(["vxlan", "fastd", "wireguard-go", "nebula"]).slice(own.length),
    ["fastd", "wireguard-go", "wireguard-tools", "nebula"],
  );
});

Deno.test("QEMU for arm64 is needed only when an arm64 kernel is to run, and in no other test", () => {
  const arm = "qemu-system-arm";
  const packages = (...architectures: ("amd64" | "arm64")[]) =>
    requirementsOfKernels(architectures).map((each) => each.debianPackage);
  assertEquals(packages("amd64", "amd64").includes(arm), false);
  assertEquals(
    packages("amd64", "arm64").filter((name) => name.startsWith("qemu")),
    ["qemu-system-x86", arm],
  );
  assertEquals(
    TEST_REQUIREMENTS.some((each) => each.debianPackage === arm),
    false,
  );
});
