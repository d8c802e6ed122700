import { assertEquals } from "@std/assert";
import { commandWords } from "../../../../backend/extension/command_words.ts";

const VARIABLES = {
  SUBNET: "10.1.5.0/24",
  NETWORK: "10.1.0.0/16",
  SPACED: "a b",
};

Deno.test("a command is split at white space, and variables are replaced in each word", () => {
  const table: [string, string[]][] = [
    ["add", ["add"]],
    ["  add\t$SUBNET \n ${NETWORK}\u00a0x ", [
      "add",
      "10.1.5.0/24",
      "10.1.0.0/16",
      "x",
    ]],
    ["a[$SUBNET]b$NETWORK/$SUBNET", [
      "a[10.1.5.0/24]b10.1.0.0/16/10.1.5.0/24",
    ]],
    // No shell: a value is not split, and an unknown name leaves its word.
    ["$SPACED $NONE ${NONE} x$NONE", ["a b", "", "", "x"]],
    [`"$SUBNET" a;b | c && d`, [
      '"10.1.5.0/24"',
      "a;b",
      "|",
      "c",
      "&&",
      "d",
    ]],
    // os.Expand's corners.
    ["$ a$ $; ${} ${SUBNET $1x $$ $*", [
      "$",
      "a$",
      "$;",
      "",
      "SUBNET",
      "x",
      "",
      "",
    ]],
    ["$SUBNETS $toString", ["", ""]],
    ["", []],
    [" \n", []],
  ];
  for (const [command, words] of table) {
    assertEquals(commandWords(command, VARIABLES), words, command);
  }
});
