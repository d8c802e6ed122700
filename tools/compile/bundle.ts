/**
 * The program as a few JavaScript files, with all that it imports.
 *
 * `deno compile` would embed every file of every npm package, with typings and
 * each build of it, and load hundreds of modules one by one: the bundle starts
 * sooner, and takes 17 MB less on disk and 20 MB less in memory.
 *
 * @module
 */

import { dirname, fromFileUrl, join } from "@std/path";
import * as esbuild from "esbuild";
import protobuf from "protobufjs";
import { LodenError } from "../../errors.ts";
import type { SourceFile } from "../check_imports.ts";

/** What to bundle. */
export interface BundleOptions {
  /** Where the sources are, and npm's packages in `node_modules`. */
  readonly root: string;
  readonly sources: readonly SourceFile[];
  /** Import names that mean something else there. */
  readonly aliases: Readonly<Record<string, string>>;
  /** What the program reads as its `deno.json`. */
  readonly project: unknown;
  /** Made by this; `cli.js` is the program. */
  readonly output: string;
}

/** The bundle would not be what the sources are. `code` is `compile.bundle`. */
export class BundleError extends LodenError {
  constructor(message: string, options: ErrorOptions = {}) {
    super("compile.bundle", `Cannot bundle: ${message}`, options);
  }
}

/** A file that is started by its name and stays a file: a worker. */
const WORKER = /new URL\("\.\/(\w+)\.ts", import\.meta\.url\)/g;

/** Of etcd3, and all that it imports. */
const PROTOCOL_FILE = "rpc.proto";

const PACKAGE_DEFINITION = fromFileUrl(
  new URL("./package_definition.ts", import.meta.url),
);

const ERROR_CLASS = /^(?:export )?class (\w+)\s+extends \w*Error\b/gm;

/** CommonJS packages ask for Node's modules in their own way. */
const REQUIRE = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);`;

/**
 * Bundles `cli.ts` and the workers into `output`. The same sources give the same
 * bytes, wherever they lie.
 *
 * @throws {BundleError}
 */
export async function bundle(options: BundleOptions): Promise<void> {
  const { aliases, output, project, root, sources } = options;
  let inputs: Record<string, unknown>;
  try {
    const { metafile } = await esbuild.build({
      metafile: true,
      absWorkingDir: root,
      entryPoints: ["cli.ts", ...workersOf(sources)],
      // Flat, so that a worker is next to the file that starts it.
      entryNames: "[name]",
      chunkNames: "[name]-[hash]",
      outdir: output,
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      conditions: ["deno"],
      alias: { ...aliases },
      loader: { ".wasm": "binary" },
      define: { __dirname: "import.meta.dirname" },
      banner: { js: REQUIRE },
      // Giving each function its name once more costs a start 20 ms.
      keepNames: false,
      legalComments: "none",
      logLevel: "silent",
      plugins: [ownFiles(project, sources), readProtocol()],
    });
    inputs = metafile.inputs;
  } catch (error) {
    throw new BundleError(error instanceof Error ? error.message : "", {
      cause: error,
    });
  } finally {
    await esbuild.stop();
  }
  const bundled = sources.filter(({ path }) => path in inputs);
  const renamed = renamedErrors(bundled, await readPrograms(output));
  if (renamed.length > 0) {
    throw new BundleError(`errors must keep their names: ${renamed} do not`);
  }
}

/**
 * Classes of errors that have another name in the bundle, as one does whose name
 * another class has, or that speaks of itself. Logs have their names.
 */
export function renamedErrors(
  sources: readonly SourceFile[],
  bundled: string,
): string[] {
  const names = sources.flatMap(({ text }) =>
    [...text.matchAll(ERROR_CLASS)].map(([, name]) => name!)
  );
  return names.filter((name) =>
    !new RegExp(`\\b${name} = class extends |\\bclass ${name} extends `)
      .test(bundled)
  );
}

async function readPrograms(directory: string): Promise<string> {
  const files = await Array.fromAsync(Deno.readDir(directory));
  const texts = await Promise.all(
    files.map(({ name }) => Deno.readTextFile(`${directory}/${name}`)),
  );
  return texts.join("\n");
}

/** Files that run as workers, as paths from the root. */
function workersOf(sources: readonly SourceFile[]): string[] {
  const workers = sources.flatMap(({ path, text }) =>
    [...text.matchAll(WORKER)].map(([, name]) =>
      `${path.slice(0, path.lastIndexOf("/") + 1)}${name}.ts`
    )
  );
  if (workers.length === 0) {
    throw new BundleError("there must be a worker: none was found");
  }
  return workers;
}

/** What differs between a source and its place in the bundle. */
function ownFiles(
  project: unknown,
  sources: readonly SourceFile[],
): esbuild.Plugin {
  const names = sources
    .filter(({ text }) => [...text.matchAll(WORKER)].length > 0)
    .map(({ path }) => path.replaceAll(".", "\\."));
  const starters = new RegExp(`/(?:${names.join("|")})$`);
  return {
    name: "own-files",
    setup(build) {
      build.onLoad({ filter: /\/deno\.json$/ }, () => ({
        contents: JSON.stringify(project),
        loader: "json",
      }));
      build.onLoad({ filter: starters }, async ({ path }) => {
        const text = await Deno.readTextFile(path);
        return {
          contents: text.replaceAll(
            WORKER,
            'new URL("./$1.js", import.meta.url)',
          ),
          loader: "ts",
        };
      });
    },
  };
}

/**
 * etcd's protocol as data in the bundle, in place of what reads it from files.
 * The one place that reads more, gRPC's own diagnosis (channelz), is never asked.
 */
function readProtocol(): esbuild.Plugin {
  return {
    name: "protocol",
    setup(build) {
      build.onLoad(
        { filter: /\/@grpc\/proto-loader\/build\/src\/index\.js$/ },
        async ({ path }) => {
          const { path: etcd3 } = await build.resolve("etcd3/package.json", {
            kind: "require-call",
            resolveDir: build.initialOptions.absWorkingDir!,
          });
          const file = join(dirname(etcd3), "proto", PROTOCOL_FILE);
          return {
            contents: await Deno.readTextFile(PACKAGE_DEFINITION) +
              `const protocol = ${JSON.stringify(protocolOf(file))};
              export function loadSync(path, options) {
                if (!path.endsWith("/${PROTOCOL_FILE}")) {
                  throw new Error("Cannot load " + path + ": not in the bundle");
                }
                return packageDefinition(protocol, options);
              }`,
            loader: "ts",
            resolveDir: dirname(path),
          };
        },
      );
    },
  };
}

/** A protocol's definition, in JSON, with its fields' own names. */
export function protocolOf(file: string): protobuf.INamespace {
  return new protobuf.Root().loadSync(file, { keepCase: true }).toJSON();
}
