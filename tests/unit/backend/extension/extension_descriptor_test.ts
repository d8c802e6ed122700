import { assertEquals, assertInstanceOf } from "@std/assert";
import { BACKENDS } from "../../../../backend/backends.ts";
import { CommandsNotAllowedError } from "../../../../backend/extension/errors.ts";

Deno.test("commands of the network config are refused unless the host's administrator allows them; no other backend needs that", () => {
  for (const { refusal, type } of BACKENDS.specs) {
    assertEquals(refusal?.({ allowsCommands: true }), undefined, type);
    const refused = refusal?.({ allowsCommands: false });
    if (type !== "extension") assertEquals(refused, undefined, type);
    else assertInstanceOf(refused, CommandsNotAllowedError);
  }
});
