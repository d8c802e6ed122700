/**
 * A real etcd for tests and demonstrations: one member, its own ports and data
 * directory, gone without a trace after `stop`.
 *
 * @module
 */

import { freePort } from "./free_port.ts";

/** Where and how the server runs. */
export interface EtcdOptions {
  /** Address of the client and peer ports; `127.0.0.1` by default. */
  readonly listenAddress?: string;
  /**
   * What stands before `etcd` on the command line and ends by executing it,
   * e.g. `["ip", "netns", "exec", "switch"]`.
   */
  readonly commandPrefix?: readonly string[];
  /** Client port; a free one by default. */
  readonly clientPort?: number;
  /** Clients must speak TLS: the server's files, and the CA of its clients. */
  readonly tls?: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly clientCaFile?: string;
    /** What {@linkcode EtcdServer.ctl} shows to the server. */
    readonly client?: { readonly certFile: string; readonly keyFile: string };
  };
  /** Where the data directory is made; the system's place by default. */
  readonly parentDirectory?: string;
  /**
   * A file for the server's log. With it the server has a session of its own
   * and no pipe to this process, so that it can outlive it; without, it logs to
   * this process.
   */
  readonly logFile?: string;
  /** One of several members; alone by default. */
  readonly member?: EtcdMember;
  /** More arguments for `etcd`. */
  readonly extraArguments?: readonly string[];
  /** Milliseconds until the server must serve; 15,000 by default. */
  readonly startTimeoutMs?: number;
}

/** A server's place in a cluster. */
export interface EtcdMember {
  readonly name: string;
  readonly peerPort: number;
  /** `--initial-cluster`: `name=url` of all members, with commas. */
  readonly initialCluster: string;
}

/** What a server begins with when it starts again. */
export interface EtcdRestart {
  /** No data at all. */
  readonly wipe?: boolean;
  /** The data of this file, which {@linkcode EtcdServer.snapshot} wrote. */
  readonly snapshot?: string;
}

/** A running server. */
export interface EtcdServer extends AsyncDisposable {
  /** `http://address:port`, or `https://` with TLS. */
  readonly endpoint: string;
  readonly clientPort: number;
  /** Whether there is a process, be it paused. */
  readonly isRunning: boolean;
  /** The directory with the database; removed by {@linkcode stop}. */
  readonly dataDirectory: string;
  /** Runs `etcdctl` on this server and returns what it wrote to stdout. */
  ctl(...args: string[]): Promise<string>;
  /** {@linkcode ctl} with something on its standard input. */
  ctlWith(stdin: string, ...args: string[]): Promise<string>;
  /** Whom `etcdctl` logs in as, `name:password`; nobody at first. */
  user: string | undefined;
  /** SIGSTOP: connections stay open and nothing answers any more. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** SIGKILL, and waits for the end; the data stays. */
  kill(): Promise<void>;
  /** Starts again after {@linkcode kill}: same ports, by default same data. */
  start(options?: EtcdRestart): Promise<void>;
  /** Saves all data. @returns the file, which is gone after {@linkcode stop}. */
  snapshot(): Promise<string>;
  /** Ends the server and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

/** Some commands of `etcdctl` have no time limit, such as `lease list`. */
const TOOL_MS = 30_000;
const KEPT_LOG_LINES = 30;
/** What etcd logs when it is ready. */
const SERVING = "serving client traffic";

/**
 * Starts etcd and waits until it serves clients.
 *
 * Throws when the binary is missing (Debian: `etcd-server`; `ctl` needs
 * `etcd-client`) or when the server does not come up.
 */
export async function startEtcd(
  options: EtcdOptions = {},
): Promise<EtcdServer> {
  const address = options.listenAddress ?? "127.0.0.1";
  const clientPort = options.clientPort ?? freePort();
  const peerPort = options.member?.peerPort ?? freePort();
  const scheme = options.tls ? "https" : "http";
  const endpoint = `${scheme}://${address}:${clientPort}`;
  const peerUrl = `http://${address}:${peerPort}`;
  const directory = await Deno.makeTempDir({
    prefix: "loden-etcd-",
    ...(options.parentDirectory ? { dir: options.parentDirectory } : {}),
  });
  const dataDirectory = `${directory}/data`;
  const prefix = options.commandPrefix ?? [];
  const tlsArguments = options.tls
    ? [
      `--cert-file=${options.tls.certFile}`,
      `--key-file=${options.tls.keyFile}`,
      ...(options.tls.clientCaFile
        ? [
          "--client-cert-auth",
          `--trusted-ca-file=${options.tls.clientCaFile}`,
        ]
        : []),
    ]
    : [];
  const name = options.member?.name ?? "test";
  const membership = [
    `--name=${name}`,
    `--data-dir=${dataDirectory}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=${
      options.member?.initialCluster ?? `${name}=${peerUrl}`
    }`,
  ];
  const etcdArguments = [
    ...membership,
    `--listen-client-urls=${endpoint}`,
    `--advertise-client-urls=${endpoint}`,
    `--listen-peer-urls=${peerUrl}`,
    // Nothing here has to survive the machine, and fsync is most of the time.
    "--unsafe-no-fsync",
    "--logger=zap",
    "--log-outputs=stderr",
    ...tlsArguments,
    ...(options.extraArguments ?? []),
  ];
  let process: { child: Deno.ChildProcess; drained: Promise<void> } | undefined;

  const start = async ({ wipe = false, snapshot }: EtcdRestart = {}) => {
    if (process) throw new Error("Cannot start etcd: it is already running");
    if (wipe || snapshot !== undefined) {
      await Deno.remove(dataDirectory, { recursive: true });
    }
    if (snapshot !== undefined) {
      await runTool(
        ["etcdutl", "snapshot", "restore", snapshot, ...membership],
        "etcd-server",
      );
    }
    const command = [...prefix, "etcd", ...etcdArguments];
    const child = options.logFile
      ? spawnDetached(command, options.logFile)
      : spawn(command);
    const log = options.logFile
      ? followLogFile(options.logFile, child.status)
      : followLog(child.stderr);
    process = { child, drained: log.drained };
    const timeoutMs = options.startTimeoutMs ?? 15_000;
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(
      () => late.resolve(`it did not serve within ${timeoutMs} ms`),
      timeoutMs,
    );
    const outcome = await Promise.race([
      log.serving,
      child.status.then((status) => `it ended with code ${status.code}`),
      late.promise,
    ]);
    clearTimeout(timer);
    if (outcome !== undefined) {
      await kill();
      throw new Error(
        `Cannot start etcd at ${endpoint}: ${outcome}:\n${
          log.lastLines.join("\n")
        }`,
      );
    }
  };

  const end = async (signal: Deno.Signal) => {
    if (!process) return;
    const { child, drained } = process;
    process = undefined;
    child.ref();
    try {
      child.kill(signal);
      // A stopped process takes SIGTERM only once it goes on.
      if (signal !== "SIGKILL") child.kill("SIGCONT");
    } catch {
      // It ended by itself, which `status` below reports as well.
    }
    await child.status;
    await drained;
  };
  const kill = () => end("SIGKILL");

  const running = () => {
    if (!process) throw new Error("Cannot signal etcd: it is not running");
    return process.child;
  };

  const stop = async () => {
    await end("SIGTERM");
    await Deno.remove(directory, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  };

  const client = [
    ...prefix,
    "etcdctl",
    `--endpoints=${endpoint}`,
    // An expired certificate is a fault to test with, not one for the tests.
    ...options.tls ? ["--insecure-skip-tls-verify"] : [],
    ...options.tls?.client
      ? [
        `--cert=${options.tls.client.certFile}`,
        `--key=${options.tls.client.keyFile}`,
      ]
      : [],
  ];
  const ctlWith = (stdin: string | undefined, ...args: string[]) =>
    runTool(
      [
        ...client,
        ...server.user === undefined ? [] : [`--user=${server.user}`],
        ...args,
      ],
      "etcd-client",
      stdin,
    );
  const ctl = (...args: string[]) => ctlWith(undefined, ...args);

  const server: EtcdServer = {
    endpoint,
    clientPort,
    get isRunning() {
      return process !== undefined;
    },
    dataDirectory,
    ctl,
    ctlWith,
    user: undefined,
    snapshot: async () => {
      const file = `${directory}/${crypto.randomUUID()}.snapshot`;
      await ctl("snapshot", "save", file);
      return file;
    },
    pause: () => stopAllThreads(running()),
    resume: () => running().kill("SIGCONT"),
    kill,
    start,
    stop,
    [Symbol.asyncDispose]: stop,
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return server;
}

/** The signal reaches a thread when it next enters the kernel, not at once. */
function stopAllThreads(child: Deno.ChildProcess): void {
  child.kill("SIGSTOP");
  const tasks = `/proc/${child.pid}/task`;
  const stopped = (thread: string) => {
    try {
      const stat = Deno.readTextFileSync(`${tasks}/${thread}/stat`);
      return / T [^)]*$/.test(stat);
    } catch {
      // It has ended meanwhile: look again.
      return false;
    }
  };
  while (![...Deno.readDirSync(tasks)].every(({ name }) => stopped(name))) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function spawnDetached(
  command: readonly string[],
  logFile: string,
): Deno.ChildProcess {
  Deno.writeTextFileSync(logFile, "");
  const child = spawn(
    ["sh", "-c", 'exec "$@" 2>>"$0"', logFile, ...command],
    { stderr: "null", detached: true },
  );
  child.unref();
  return child;
}

function spawn(
  command: readonly string[],
  options: Deno.CommandOptions = { stderr: "piped" },
): Deno.ChildProcess {
  try {
    return new Deno.Command(command[0]!, {
      args: command.slice(1),
      stdin: "null",
      stdout: "null",
      ...options,
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot start etcd: the program ${
        command[0]
      } must be installed (Debian package: etcd-server)`,
      { cause: error },
    );
  }
}

/** Runs one of etcd's own tools to its end. @returns what it wrote to stdout. */
async function runTool(
  command: readonly string[],
  debianPackage: string,
  stdin?: string,
): Promise<string> {
  let output: Deno.CommandOutput;
  const timeLimit = AbortSignal.timeout(TOOL_MS);
  try {
    const child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { ETCDCTL_API: "3" },
      signal: timeLimit,
    }).spawn();
    if (stdin !== undefined) {
      await ReadableStream.from([new TextEncoder().encode(stdin)])
        .pipeTo(child.stdin);
    }
    output = await child.output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot run ${
        command[0]
      }: it must be installed (Debian package: ${debianPackage})`,
      { cause: error },
    );
  }
  const text = new TextDecoder();
  if (!output.success) {
    throw new Error(
      timeLimit.aborted
        ? `${command.join(" ")} has not ended within ${TOOL_MS} ms`
        : `${command.join(" ")} failed: ${text.decode(output.stderr)}`,
    );
  }
  return text.decode(output.stdout);
}

/** Looks into the log file until the server serves or ends. */
function followLogFile(
  path: string,
  ended: Promise<Deno.CommandStatus>,
) {
  const lastLines: string[] = [];
  const serving = Promise.withResolvers<undefined>();
  const look = () => {
    const text = Deno.readTextFileSync(path);
    lastLines.splice(
      0,
      Infinity,
      ...text.trimEnd().split("\n").slice(-KEPT_LOG_LINES),
    );
    if (!text.includes(SERVING)) return;
    clearInterval(timer);
    serving.resolve(undefined);
  };
  const timer = setInterval(look, 20);
  const drained = ended.then(() => {
    look();
    clearInterval(timer);
  });
  return { lastLines, serving: serving.promise, drained };
}

/** Reads the log to its end, so that the pipe never fills up. */
function followLog(stderr: ReadableStream<Uint8Array>) {
  const lastLines: string[] = [];
  const serving = Promise.withResolvers<undefined>();
  const drained = (async () => {
    let rest = "";
    for await (const chunk of stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        lastLines.push(line);
        if (lastLines.length > KEPT_LOG_LINES) lastLines.shift();
        if (line.includes(SERVING)) {
          serving.resolve(undefined);
        }
      }
    }
  })();
  return { lastLines, serving: serving.promise, drained };
}
