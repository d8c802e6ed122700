/**
 * Compiles the data path's WASM module from AssemblyScript.
 *
 * The result is committed beside its source, so that running Loden needs no
 * build; `--check` fails when the two have come apart.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import asc from "assemblyscript/asc";
import { MEMORY_PAGES } from "../backend/udp/tun/shared_state.ts";

const SOURCE = "backend/udp/tun/wasm/kernel.as.ts";
const RESULT = "backend/udp/tun/kernel.wasm";

const OPTIONS = [
  "-O3",
  "--enable",
  "simd,threads",
  "--runtime",
  "stub",
  "--noAssert",
  "--importMemory",
  "--sharedMemory",
  "--initialMemory",
  String(MEMORY_PAGES.initial),
  "--maximumMemory",
  String(MEMORY_PAGES.maximum),
];

async function compile(): Promise<Uint8Array> {
  let result: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [SOURCE, ...OPTIONS, "--outFile", "kernel.wasm"],
    {
      writeFile: (_name: string, contents: string | Uint8Array) => {
        if (typeof contents !== "string") result = contents;
      },
    },
  );
  if (error !== null || result === undefined) {
    throw new Error(`${error?.message ?? "no output"}\n${stderr.toString()}`);
  }
  return result;
}

if (import.meta.main) {
  const compiled = await compile();
  if (!Deno.args.includes("--check")) {
    await Deno.writeFile(RESULT, compiled);
    console.log(`${RESULT}: ${compiled.length} bytes`);
  } else if (!equals(compiled, await Deno.readFile(RESULT))) {
    console.error(
      `${RESULT} is not what ${SOURCE} compiles to: run deno task build:wasm`,
    );
    Deno.exit(1);
  }
}
