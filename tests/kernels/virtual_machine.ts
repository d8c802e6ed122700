/**
 * A virtual machine with one of Debian's kernels, in QEMU without hardware help
 * (TCG): slow, but the same on every machine.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { KernelImage } from "./kernel_image.ts";
import { Monitor } from "./monitor.ts";
import { linesOf, writeLine } from "./socket_lines.ts";

const BOOT_MS = 180_000;
const OFF_MS = 10_000;
const MEMORY_MEGABYTES = 2_048;

/** The disks, in the order in which the guest sees them. */
export interface Disks {
  readonly root: string;
  readonly project: string;
}

/** An Ethernet card with its cable: see `cables.ts`. */
export interface Card {
  /** QEMU's, of what is there as long as the machine. */
  readonly arguments: readonly string[];
  /** What `-device` says; one with an `id` of "card" can be unplugged. */
  readonly device: string;
  /** What stands before QEMU's command line: `ip netns exec NAME`. */
  readonly commandPrefix: readonly string[];
}

/** What a machine may have besides its disks. */
export interface MachineOptions {
  /** For its sockets and its console, `console.log`. */
  readonly directory: string;
  readonly card?: Card;
  /** Words of the kernel's command line. */
  readonly boot?: string;
  /** QEMU's `-smp`; one processor by default. */
  readonly processors?: string;
}

/** Boots at once; ends with the scope. */
export class VirtualMachine implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #control: Deno.Conn;
  readonly #monitor: string;
  readonly #card: Card | undefined;
  #jobs = 0;

  private constructor(
    process: Deno.ChildProcess,
    control: Deno.Conn,
    { card, directory }: MachineOptions,
  ) {
    this.#process = process;
    this.#control = control;
    this.#lines = linesOf(control.readable);
    this.#monitor = monitorSocket(directory);
    this.#card = card;
  }

  /**
   * Returns when the guest takes commands.
   *
   * @throws when it has not booted after three minutes, with its console's end.
   */
  static async boot(
    { architecture, initramfs, kernel, modules }: KernelImage,
    { project, root }: Disks,
    options: MachineOptions,
    signal: AbortSignal,
  ): Promise<VirtualMachine> {
    const { boot = "", card, directory, processors = "1" } = options;
    const socket = `${directory}/control`;
    const console = `${directory}/console.log`;
    const [program, ...words] = [
      ...card?.commandPrefix ?? [],
      architecture.qemu,
    ];
    const process = new Deno.Command(program!, {
      args: [
        ...words,
        ...["-accel", "tcg,thread=multi", ...architecture.machine],
        ...["-m", `${MEMORY_MEGABYTES}`, "-smp", processors, "-no-reboot"],
        ...["-nodefaults", "-display", "none", "-monitor", "none"],
        ...controlPort(socket),
        ...[root, modules, project].flatMap(drive),
        ...["-qmp", `unix:${monitorSocket(directory)},server=on,wait=off`],
        ...card === undefined
          ? []
          : [...card.arguments, "-device", card.device],
        ...["-kernel", kernel, "-initrd", initramfs],
        "-append",
        `console=${architecture.console} panic=-1 quiet net.ifnames=0 ${boot}`,
        ...["-serial", `file:${console}`],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    try {
      const control = await connect(socket, signal);
      const machine = new VirtualMachine(process, control, options);
      await machine.#untilReady(console, signal);
      return machine;
    } catch (error) {
      process.kill("SIGKILL");
      await process.status;
      throw error;
    }
  }

  /**
   * Runs a shell script in the guest.
   *
   * @param onLine is given each line of its output as it comes.
   * @returns its exit code.
   */
  async run(
    script: string,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<number> {
    this.#jobs += 1;
    const bytes = new TextEncoder().encode(script);
    await writeLine(this.#control, `run ${this.#jobs} ${bytes.toBase64()}`);
    for (;;) {
      const line = await this.#nextLine(signal);
      if (line.startsWith("+")) onLine(line.slice(1));
      const end = /^= (\d+) (\d+)$/.exec(line);
      if (end?.[1] === `${this.#jobs}`) return Number(end[2]);
    }
  }

  /** Returns when the guest has let go of its card. */
  async unplugCard(signal: AbortSignal): Promise<void> {
    using monitor = await Monitor.open(this.#monitor, signal);
    await monitor.command("device_del card");
    await monitor.untilEvent("DEVICE_DELETED");
  }

  /** Plugs in a card as the unplugged one was. */
  async plugCard(signal: AbortSignal): Promise<void> {
    using monitor = await Monitor.open(this.#monitor, signal);
    await monitor.command(`device_add ${this.#card!.device}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await writeLine(this.#control, "off")
      .catch(() => {}); // It is off already.
    const ended = await Promise.race([
      this.#process.status.then(() => true),
      delay(OFF_MS, { persistent: false }).then(() => false),
    ]);
    if (!ended) this.#process.kill("SIGKILL");
    await this.#process.status;
    // Reading its stream to the end has closed it.
    try {
      this.#control.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #untilReady(console: string, signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(BOOT_MS)]);
    try {
      while (
        !(await this.#nextLine(patience)).startsWith("ready ")
      ) { /* noise */ }
    } catch (error) {
      signal.throwIfAborted();
      const said = await Deno.readTextFile(console).catch(() => "");
      throw new Error(
        `Cannot boot the virtual machine; its console ends with:\n${
          said.slice(-2_000)
        }`,
        { cause: error },
      );
    }
  }

  async #nextLine(signal: AbortSignal): Promise<string> {
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const { done, value } = await Promise.race([
        this.#lines.next(),
        aborted.promise,
      ]);
      if (done) throw new Error("Cannot go on: the virtual machine has ended");
      return value.trim();
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** A port without a terminal's rules: lines of any length pass as they are. */
function controlPort(socket: string): string[] {
  return [
    ...["-chardev", `socket,id=control,path=${socket},server=on,wait=off`],
    ...["-device", "virtio-serial-pci"],
    ...["-device", "virtserialport,chardev=control"],
  ];
}

function drive(image: string, index: number): string[] {
  return [
    "-drive",
    `file=${image},format=raw,if=none,id=disk${index},readonly=on`,
    "-device",
    `virtio-blk-pci,drive=disk${index}`,
  ];
}

async function connect(path: string, signal: AbortSignal): Promise<Deno.Conn> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (tries === 100) throw error;
      await delay(50, { signal });
    }
  }
}

function monitorSocket(directory: string): string {
  return `${directory}/monitor`;
}
