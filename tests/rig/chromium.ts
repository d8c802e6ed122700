/**
 * A real browser: Debian's Chromium without a window, driven by its own protocol
 * (CDP) through two named pipes, so that it can run in any network namespace.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { delay } from "@std/async/delay";
import { run } from "../../tools/command.ts";
import { Daemon } from "./daemon.ts";

/** It stays away from every network but the test's, and does only what is asked. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--hide-scrollbars",
  "--remote-debugging-pipe",
];

/** Chromium reads commands from descriptor 3 and writes to 4. */
const WITH_PIPES = 'in=$1 out=$2; shift 2; exec "$@" 3<"$in" 4>"$out"';

/** Enough for a first start on a busy machine. */
const ANSWER_MS = 20_000;

/** Parameters and results of the protocol. */
// deno-lint-ignore no-explicit-any
type Json = any;

interface Waiting {
  resolve(result: Json): void;
  reject(error: Error): void;
}

/** A message that is not the answer of a command. */
interface Event {
  readonly method: string;
  readonly params: Json;
  readonly sessionId?: string;
}

/** A running Chromium. */
export class Chromium implements AsyncDisposable {
  readonly #process: Daemon;
  readonly #input: Deno.FsFile;
  readonly #output: Deno.FsFile;
  readonly #reading: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(event: Event) => void>();
  #commands = 0;

  private constructor(
    process: Daemon,
    input: Deno.FsFile,
    output: Deno.FsFile,
  ) {
    this.#process = process;
    this.#input = input;
    this.#output = output;
    this.#reading = this.#read();
  }

  /**
   * @param directory for its files; made here.
   * @param prefix of the command, as a namespace's.
   */
  static async start(
    directory: string,
    prefix: readonly string[] = [],
  ): Promise<Chromium> {
    await Deno.mkdir(directory, { mode: 0o700, recursive: true });
    const pipes = [`${directory}/in`, `${directory}/out`] as const;
    await run(["mkfifo", "-m", "600", ...pipes]);
    const process = new Daemon({
      name: "chromium",
      logFile: `${directory}/log`,
      command: [
        ...prefix,
        "sh",
        "-c",
        WITH_PIPES,
        "sh",
        ...pipes,
        "chromium",
        ...FLAGS,
        `--user-data-dir=${directory}/profile`,
        "about:blank",
      ],
      env: { HOME: directory, XDG_RUNTIME_DIR: directory },
    });
    // Each waits until the browser has opened the other end.
    const [input, output] = await Promise.all([
      Deno.open(pipes[0], { write: true }),
      Deno.open(pipes[1], { read: true }),
    ]);
    return new Chromium(process, input, output);
  }

  /** Sends a command. @returns its result. */
  async send(
    method: string,
    params: Json = {},
    sessionId?: string,
  ): Promise<Json> {
    const id = ++this.#commands;
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    const timer = setTimeout(
      () => reject(new Error(`Cannot ask the browser: no answer to ${method}`)),
      ANSWER_MS,
    );
    this.#waiting.set(id, { resolve, reject });
    try {
      const text = JSON.stringify({
        id,
        method,
        params,
        ...sessionId === undefined ? {} : { sessionId },
      });
      await this.#write(new TextEncoder().encode(`${text}\0`));
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Calls `listener` for each event. */
  listen(listener: (event: Event) => void): void {
    this.#listeners.add(listener);
  }

  /** A new tab, empty. */
  newTab(): Promise<Tab> {
    return Tab.open(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await this.#reading;
    this.#input.close();
    this.#output.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#input.write(bytes.subarray(sent));
    }
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(65_536);
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const length = await this.#output.read(chunk);
      if (length === null) break;
      text += decoder.decode(chunk.subarray(0, length), { stream: true });
      const messages = text.split("\0");
      text = messages.pop()!;
      for (const message of messages) this.#take(JSON.parse(message));
    }
    for (const { reject } of this.#waiting.values()) {
      reject(new Error("Cannot ask the browser: it has ended"));
    }
  }

  #take(message: Json): void {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else {
      const { message: why } = message.error;
      waiting?.reject(new Error(`The browser refused a command: ${why}`));
    }
  }
}

/** What the browser looks like from outside. */
export interface Appearance {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  readonly reducedMotion?: boolean;
}

/** A key that is pressed, as CDP has it. */
const KEYS: Readonly<Record<string, { code: number; text?: string }>> = {
  Tab: { code: 9 },
  Enter: { code: 13, text: "\r" },
  " ": { code: 32, text: " " },
};

/** One tab. */
export class Tab {
  readonly #browser: Chromium;
  readonly #session: string;
  /** Documents, by the loader's id. */
  readonly #loaded = new Set<string>();
  #problems: string[] = [];
  #answers: ((url: string) => string | undefined) | undefined;

  private constructor(browser: Chromium, session: string) {
    this.#browser = browser;
    this.#session = session;
    browser.listen((event) => {
      if (event.sessionId === session) this.#notice(event);
    });
  }

  static async open(browser: Chromium): Promise<Tab> {
    const { targetId } = await browser.send("Target.createTarget", {
      url: "about:blank",
    });
    const { sessionId } = await browser.send("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    const tab = new Tab(browser, sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) {
      await tab.send(`${domain}.enable`);
    }
    await tab.send("Page.setLifecycleEventsEnabled", { enabled: true });
    return tab;
  }

  send(method: string, params: Json = {}): Promise<Json> {
    return this.#browser.send(method, params, this.#session);
  }

  /** Errors of scripts and of loading, what was logged, broken policies. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** What has happened so far was meant to. */
  forgetProblems(): void {
    this.#problems = [];
  }

  /** Waits until the document is loaded and its scripts have begun. */
  async go(url: string): Promise<void> {
    const { errorText, loaderId } = await this.send("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    // Until then, what is evaluated may meet the document before.
    const deadline = performance.now() + ANSWER_MS;
    while (!this.#loaded.has(loaderId)) {
      if (performance.now() > deadline) {
        throw new Error(`Cannot load ${url} within ${ANSWER_MS} ms`);
      }
      await delay(5);
    }
  }

  async appear(
    { width, height, dark = false, reducedMotion = false }: Appearance,
  ): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.send("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
        {
          name: "prefers-reduced-motion",
          value: reducedMotion ? "reduce" : "no-preference",
        },
      ],
    });
  }

  /** The value of a JavaScript expression, which may be a promise. */
  async evaluate(expression: string): Promise<Json> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) {
      throw new Error(
        `${expression}: ${
          exceptionDetails.exception?.description ?? exceptionDetails.text
        }`,
      );
    }
    return result.value;
  }

  /** The text of the first element that matches, as a reader sees it. */
  text(selector: string): Promise<string> {
    return this.evaluate(
      `document.querySelector(${JSON.stringify(selector)}).innerText`,
    );
  }

  /** Waits until an expression is true. */
  async until(expression: string, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!await this.evaluate(expression)) {
      if (performance.now() > deadline) {
        const shown = await this.evaluate("document.body.innerText");
        throw new Error(
          `Cannot see ${expression} within ${timeoutMs} ms: the page shows\n${shown}`,
        );
      }
      await delay(50);
    }
  }

  /** What a screen reader is given: role and name of each element. */
  async accessible(): Promise<{ role: string; name: string }[]> {
    const { nodes } = await this.send("Accessibility.getFullAXTree");
    return nodes.filter(({ ignored }: Json) => !ignored)
      .map(({ name, role }: Json) => ({
        role: role.value,
        name: name?.value ?? "",
      }));
  }

  /** Presses a key, as Tab. */
  async press(key: string): Promise<void> {
    const { code, text } = KEYS[key]!;
    const event = { key, code: key, windowsVirtualKeyCode: code };
    await this.send("Input.dispatchKeyEvent", {
      type: "keyDown",
      ...event,
      ...text === undefined ? {} : { text },
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  /** The whole page as a PNG. */
  async screenshot(path: string): Promise<void> {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const { data } = await this.send("Page.captureScreenshot", {
      captureBeyondViewport: true,
      clip: { ...cssContentSize, scale: 1 },
    });
    await Deno.writeFile(path, Buffer.from(data, "base64"));
  }

  /**
   * Answers requests in the server's place, with JSON.
   *
   * @param answers `undefined`: the server answers.
   */
  async intercept(
    pattern: string,
    answers: (url: string) => string | undefined,
  ): Promise<void> {
    this.#answers = answers;
    await this.send("Fetch.enable", { patterns: [{ urlPattern: pattern }] });
  }

  async letThrough(): Promise<void> {
    this.#answers = undefined;
    await this.send("Fetch.disable");
  }

  #notice({ method, params }: Event): void {
    switch (method) {
      case "Page.lifecycleEvent":
        if (params.name === "load") this.#loaded.add(params.loaderId);
        return;
      case "Runtime.exceptionThrown": {
        const { exception, text } = params.exceptionDetails;
        this.#problems.push(exception?.description ?? text);
        return;
      }
      case "Runtime.consoleAPICalled":
        this.#problems.push(
          `console.${params.type}: ${
            params.args.map(({ value }: Json) => value).join(" ")
          }`,
        );
        return;
      case "Log.entryAdded": {
        const { level, source, text, url } = params.entry;
        this.#problems.push(`${source} ${level}: ${text} ${url ?? ""}`);
        return;
      }
      case "Fetch.requestPaused":
        this.#answer(params.requestId, params.request.url).catch((error) =>
          this.#problems.push(String(error))
        );
    }
  }

  async #answer(requestId: string, url: string): Promise<void> {
    const body = this.#answers?.(url);
    if (body === undefined) {
      await this.send("Fetch.continueRequest", { requestId });
      return;
    }
    await this.send("Fetch.fulfillRequest", {
      requestId,
      responseCode: 200,
      responseHeaders: [{ name: "content-type", value: "application/json" }],
      body: Buffer.from(body).toString("base64"),
    });
  }
}
