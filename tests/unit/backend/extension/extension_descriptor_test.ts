import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { BACKENDS, createBackend } from "../../../../backend/backends.ts";
import { CommandsNotAllowedError } from "../../../../backend/extension/errors.ts";
import { runShell } from "../../../../linux/shell_command.ts";
import { kernelWorld } from "../kernel_world.ts";

Deno.test("commands of the network config are refused unless the host's administrator allows them; no other backend needs that", () => {
  for (const { refusal, type } of BACKENDS.specs) {
    assertEquals(refusal?.({ allowsCommands: true }), undefined, type);
    const refused = refusal?.({ allowsCommands: false });
    if (type !== "extension") assertEquals(refused, undefined, type);
    else assertInstanceOf(refused, CommandsNotAllowedError);
  }
});

Deno.test("a backend with commands is made only where they are allowed", () => {
  const { underlay } = kernelWorld().context;
  const extension = { runShell, timeLimitMs: 1_000, prepared: new Map() };
  const create = (allowsCommands: boolean) =>
    createBackend(
      { type: "extension", options: {} },
      { extension } as never,
      { allowsCommands },
      underlay,
    );
  assertThrows(() => create(false), CommandsNotAllowedError);
  assertEquals(create(true).type, "extension");
});
