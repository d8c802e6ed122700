/**
 * Tests on other kernels than this machine's, in virtual machines.
 *
 * `deno task test:kernels [KERNEL]... [FILE]... [--filter=WORDS]`: boots each
 * kernel and runs the test files in it; without words, all kernels and the files
 * that touch the kernel most. `--run=SCRIPT` runs a shell script instead, in the
 * project's directory, and shows its output. `--hosts` boots two machines on one
 * cable instead and prints a table, a row for each way to receive packets. The
 * last line is `N passed, N failed`.
 *
 * The first run downloads about 30 MB a kernel and makes a root file system for
 * each architecture, which takes a minute or two; both are kept in the cache
 * directory. Nothing but QEMU is installed on this machine.
 *
 * Exit codes: 0, 1 when a test failed or none ran, 2 for bad usage, 128 + n when
 * signal n ended it.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { describeError } from "../../errors.ts";
import { AptHost } from "../../tools/apt.ts";
import { Interrupted, onInterrupt } from "../../tools/interrupt.ts";
import { parseJunit, type TestReport } from "../../tools/junit.ts";
import { requireLinuxRoot } from "../../tools/linux_root.ts";
import {
  ensurePackages,
  requirementsOfDist,
  requirementsOfKernels,
} from "../../tools/packages.ts";
import { compileForTests } from "../../tools/compile.ts";
import { makeDist } from "../../tools/dist/make_dist.ts";
import { markdownTable } from "../../tools/docs/markdown_table.ts";
import { extendSystemPath } from "../../tools/system_path.ts";
import { cacheDirectory } from "../support/cache.ts";
import { copyTree } from "../support/copy_tree.ts";
import { type Architecture, isNative } from "./architecture.ts";
import { DebianArchive } from "./debian_archive.ts";
import { makeDisk, temporaryDirectory } from "./disk.ts";
import { type GuestRoot, guestRoot } from "./guest_root.ts";
import { kernelImage } from "./kernel_image.ts";
import { type Kernel, KERNELS, suitesOf } from "./kernels.ts";
import { type CardName, CARDS, isCardName } from "./cards.ts";
import { hostsPlan } from "./hosts_plan.ts";
import { updatePage } from "./kernels_page.ts";
import { brokenRow, cellsOf, HEAD, type KernelRow, type Row } from "./rows.ts";
import { type Mode, modeName, modeNamed, MODES } from "./modes.ts";
import { runTwoHosts } from "./two_hosts.ts";
import { type Disks, VirtualMachine } from "./virtual_machine.ts";

/** What is worth a look on each kernel. */
const FILES = [
  "tests/contract/kernel_bpf_test.ts",
  "tests/contract/kernel_features_test.ts",
  "tests/contract/kernel_rtnetlink_test.ts",
  "tests/contract/packet_fates_programs_test.ts",
  "tests/contract/flow_entropy_test.ts",
  "tests/contract/flow_queues_test.ts",
  "tests/contract/ebpf_data_path_test.ts",
  "tests/contract/underlay_devices_test.ts",
  "tests/contract/kernel_ipip_test.ts",
  "tests/contract/kernel_wireguard_test.ts",
  "tests/e2e/wireguard_test.ts",
  "tests/e2e/wireguard_life_test.ts",
];

/** What may differ from this machine's: structures, numbers of system calls. */
const OTHER_ARCHITECTURE_FILES = ["tests/unit/linux"];

const USAGE =
  `Usage: deno task test:kernels [KERNEL]... [FILE]... [--filter=WORDS]
       deno task test:kernels [KERNEL]... --run=SCRIPT
       deno task test:kernels [KERNEL]... --hosts [--cards=LIST] [--modes=LIST] [--package | --write]

  KERNEL  ${KERNELS.map(({ name }) => name).join(", ")} (all of them)
  FILE    a test file or a folder of them (${FILES.length} that touch the kernel)
  --filter
          only tests with these words in their names
  --run   a shell script to run instead of tests
  --hosts instead of tests: two hosts on one cable; without --cards and --modes,
          the usual cards and receive modes of the kernel, half an hour for all
  --cards ${Object.keys(CARDS).join(", ")}
          (all that the kernel has drivers for)
  --modes some of ${MODES.map(modeName).join(", ")} (all of the card)
  --package
          both hosts boot systemd, install the Debian package, which is built
          first, and start its unit
  --write writes the rows into docs/kernels.md; those of other kernels, cards and
          modes stay
  --help  this text
`;

/** What the command line asks for. */
interface Request {
  readonly kernels: readonly Kernel[];
  /** `undefined`: the usual ones. */
  readonly files: readonly string[] | undefined;
  readonly filter: string;
  readonly script: string | undefined;
  readonly hosts: boolean;
  /** Whether the hosts install the Debian package. */
  readonly packaged: boolean;
  /** Only these. */
  readonly cards: readonly CardName[] | undefined;
  readonly modes: readonly Mode[] | undefined;
  readonly write: boolean;
}

const PAGE = "docs/kernels.md";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const request = parseRequest(args);
  if (typeof request === "string") {
    console.error(`Cannot run tests on kernels: ${request}\n\n${USAGE}`);
    return 2;
  }
  extendSystemPath();
  const apt = new AptHost(say);
  using interrupt = onInterrupt(() => apt.abandon());
  const { signal } = interrupt;
  try {
    requireLinuxRoot("run tests on other kernels");
    const architectures = request.kernels.map(({ architecture }) =>
      architecture.debian
    );
    const requirements = [
      ...requirementsOfKernels(architectures),
      ...requirementsOfDist({ formats: request.packaged ? ["deb"] : [] }),
    ];
    await ensurePackages(requirements, apt, say, signal);
    return await runAll(request, signal);
  } catch (error) {
    if (signal.reason instanceof Interrupted) {
      console.error(`\n${signal.reason.message}: everything is removed`);
      return signal.reason.exitCode;
    }
    console.error(describeError(error));
    console.log("0 passed, 1 failed");
    return 1;
  }
}

function parseRequest(args: string[]): Request | string {
  let refused: string | undefined;
  const words = parseArgs(args, {
    // Without "_" the kernel 5.10 would be the number 5.1.
    string: ["_", "cards", "filter", "modes", "run"],
    boolean: ["hosts", "package", "write"],
    unknown: (word: string) => {
      if (word.startsWith("-")) refused ??= `there is no ${word}`;
      return !word.startsWith("-");
    },
  });
  if (refused !== undefined) return refused;
  const names: string[] = words._ as string[];
  const isFile = (name: string) => name.includes("/");
  const files = names.filter(isFile);
  const kernels: Kernel[] = [];
  for (const name of names.filter((name) => !isFile(name))) {
    const kernel = KERNELS.find((each) => each.name === name);
    if (kernel === undefined) return `there is no kernel ${name}`;
    kernels.push(kernel);
  }
  const cards: string[] | undefined = words.cards?.split(",");
  const unknown = cards?.find((name) => !isCardName(name));
  if (unknown !== undefined) return `there is no card ${unknown}`;
  const modes: Mode[] = [];
  for (const name of words.modes?.split(",") ?? []) {
    const mode = modeNamed(name);
    if (mode === undefined) return `there is no mode ${name}`;
    modes.push(mode);
  }
  return {
    kernels: kernels.length > 0 ? kernels : KERNELS,
    files: files.length > 0 ? files : undefined,
    filter: words.filter ?? "",
    script: words.run,
    hosts: words.hosts,
    packaged: words.package,
    cards: cards?.filter(isCardName),
    modes: words.modes === undefined ? undefined : modes,
    write: words.write,
  };
}

async function runAll(
  request: Request,
  signal: AbortSignal,
): Promise<number> {
  const { files, filter, hosts, kernels, script } = request;
  await using work = await temporaryDirectory();
  const program = request.packaged
    ? "package"
    : hosts || files?.some(startsAgents)
    ? "binary"
    : undefined;
  const supplies = new Map<Architecture, Supplies>();
  const rows: KernelRow[] = [];
  let passed = 0;
  let failed = 0;
  for (const kernel of kernels) {
    const plan = hostsPlan(kernel, request);
    if (hosts && plan.length === 0) continue;
    const { architecture } = kernel;
    const shared = supplies.get(architecture) ??
      await supply(architecture, program, work.path, signal);
    supplies.set(architecture, shared);
    const { archive, project, root } = shared;
    const image = await kernelImage(kernel, archive, root.busybox, signal);
    const disks: Disks = { project, root: root.image };
    say(`\nLinux ${image.release}`);
    const directory = `${work.path}/${kernel.name}`;
    await Deno.mkdir(directory);
    const startedAtMs = performance.now();
    const seconds = () => Math.round((performance.now() - startedAtMs) / 1000);
    if (hosts) {
      for (const [card, modes] of plan) {
        const found = await runTwoHosts(
          image,
          disks,
          { card, directory, modes, packaged: request.packaged },
          say,
          signal,
        ).catch((error): Row[] => {
          signal.throwIfAborted();
          return [brokenRow(card, undefined, describeError(error))];
        });
        const named = found.map((row) => ({ ...row, kernel: kernel.name }));
        rows.push(...named);
        say(`  after ${seconds()} s`);
        if (!request.write) continue;
        const date = new Date().toISOString().slice(0, 10);
        const ran = { name: kernel.name, release: image.release, date };
        const page = await Deno.readTextFile(PAGE);
        await Deno.writeTextFile(PAGE, updatePage(page, [ran], named));
      }
      continue;
    }
    await using machine = await VirtualMachine.boot(
      image,
      disks,
      // Agents, their etcd and what tests start beside them.
      { directory, ...program === "binary" ? { processors: "2" } : {} },
      signal,
    );
    say(`booted after ${seconds()} s`);
    if (script !== undefined) {
      const code = await machine.run(`cd /opt/loden\n${script}\n`, say, signal);
      if (code === 0) passed += 1;
      else failed += 1;
      continue;
    }
    const usual = isNative(architecture)
      ? FILES
      : [...OTHER_ARCHITECTURE_FILES, ...FILES];
    const totals = await runTests(machine, files ?? usual, filter, signal);
    say(
      `Linux ${image.release}: ${totals.passed} passed, ${totals.failed} ` +
        `failed, ${totals.notRun} not for this kernel, ${seconds()} s`,
    );
    passed += totals.passed;
    failed += totals.failed;
  }
  if (hosts) {
    say(`\n${markdownTable(HEAD, rows.map(cellsOf))}`);
    failed += rows.filter(({ faults }) => faults.length > 0).length;
    passed += rows.filter(({ faults }) => faults.length === 0).length;
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** In what form the agents come to the hosts. */
type Program = "binary" | "package";

/** What all kernels of an architecture share. */
interface Supplies {
  readonly archive: DebianArchive;
  readonly root: GuestRoot;
  /** The path of the disk with the tree. */
  readonly project: string;
}

async function supply(
  architecture: Architecture,
  program: Program | undefined,
  directory: string,
  signal: AbortSignal,
): Promise<Supplies> {
  const { debian } = architecture;
  say(`Debian's package lists for ${debian}`);
  const archive = await DebianArchive.open(
    `${cacheDirectory()}/debian-${debian}`,
    suitesOf(architecture),
    debian,
    signal,
  );
  say(`the root file system for ${debian}`);
  const root = await guestRoot(architecture, signal);
  const project = `${directory}/project-${debian}.ext4`;
  await makeProjectDisk(architecture, project, program, signal);
  return { archive, root, project };
}

/** Whether a test file starts agents: from sources they are slow. */
function startsAgents(file: string): boolean {
  return /^tests\/(e2e|long)\//.test(file);
}

/** A file that fails outside its tests has failed once. */
async function runTests(
  machine: VirtualMachine,
  files: readonly string[],
  filter: string,
  signal: AbortSignal,
): Promise<TestReport> {
  const code = await machine.run(
    `cd /opt/loden
[ ! -e dist/loden ] || export LODEN_BINARY=dist/loden
deno test --allow-all --cached-only --no-check --junit-path=/tmp/junit.xml \
  --filter='${filter}' ${files.join(" ")}`,
    say,
    signal,
  );
  let xml = "";
  const append = (line: string) => {
    xml += `${line}\n`;
  };
  await machine.run("cat /tmp/junit.xml", append, signal);
  const report = parseJunit(xml);
  const failed = code === 0 ? report.failed : Math.max(1, report.failed);
  return { ...report, failed };
}

/** The files of the tree as they are, without what git ignores but the program. */
async function makeProjectDisk(
  { target }: Architecture,
  image: string,
  program: Program | undefined,
  signal: AbortSignal,
): Promise<void> {
  await using work = await temporaryDirectory();
  await copyTree(work.path, signal);
  const binary = `${work.path}/dist/loden`;
  if (program !== undefined) {
    await compileForTests(target, binary, say, signal);
  }
  if (program === "package") {
    await makeDist({
      binary,
      formats: ["deb"],
      out: `${work.path}/dist`,
      runtime: "recovered",
      signal,
    });
    await Deno.remove(binary);
  }
  await makeDisk(work.path, image, signal);
}

function say(line: string): void {
  console.log(line);
}
