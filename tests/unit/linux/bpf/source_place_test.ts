import { assertEquals, assertMatch } from "@std/assert";
import {
  currentPlace,
  placeInStack,
} from "../../../../linux/bpf/source_place.ts";

const OWN = new URL("../../../../linux/bpf/", import.meta.url);
const ROOT = new URL("../../../../", import.meta.url);

Deno.test("the place is the innermost line outside of the language", () => {
  const stack = [
    "Error",
    `    at mov (${OWN}instructions.ts:10:3)`,
    `    at toTx (${ROOT}backend/udp/ebpf/tx.ts:41:7)`,
    `    at build (${ROOT}backend/udp/ebpf/programs.ts:9:1)`,
  ].join("\n");
  assertEquals(placeInStack(stack), "backend/udp/ebpf/tx.ts:41");
});

Deno.test("a place without a function's name, and one outside of the project, are read", () => {
  assertEquals(
    placeInStack(`Error\n    at ${ROOT}tools/try.ts:3:1`),
    "tools/try.ts:3",
  );
  assertEquals(
    placeInStack("Error\n    at build (file:///elsewhere/try.ts:3:1)"),
    "file:///elsewhere/try.ts:3",
  );
});

Deno.test("a stack without files names no place", () => {
  assertEquals(placeInStack("Error\n    at <anonymous>"), undefined);
});

Deno.test("the place of a caller is its file and line", () => {
  assertMatch(
    currentPlace()!,
    /^tests\/unit\/linux\/bpf\/source_place_test\.ts:\d+$/,
  );
});
