import { assert, assertEquals } from "@std/assert";
import { exitCodes } from "../../../agent/exit_codes.ts";
import { commandTable } from "../../../commands/table.ts";
import { environmentName, type FlagSpec } from "../../../config/flag_spec.ts";
import { AGENT_FLAGS } from "../../../config/flags.ts";
import { renderManPage } from "../../../tools/docs/man_page.ts";

const FLAGS: readonly FlagSpec[] = AGENT_FLAGS;

const PAGE = renderManPage({
  epochSeconds: 86_400 * 365,
  cli: Deno.readTextFileSync(new URL("../../../docs/cli.md", import.meta.url)),
});

Deno.test("the manual page has every command and every flag", () => {
  for (const { name } of commandTable) {
    assert(PAGE.includes(`\n.It Cm ${name}\n`), name);
  }
  for (const flag of FLAGS) {
    const name = flag.name.replaceAll("-", "\\-");
    const isActive = flag.status.kind === "active";
    const item = new RegExp(
      `^\\.It Fl ${
        RegExp.escape(isActive && flag.name.length > 1 ? `\\-${name}` : name)
      }( Ns |$)`,
      "m",
    );
    assert(isActive ? item.test(PAGE) : PAGE.includes(`\\-\\-${name}`), name);
    if (isActive && !flag.commandLineOnly) {
      assert(PAGE.includes(`\n.Pq Ev ${environmentName(flag)}\n`), name);
    }
  }
});

Deno.test("the manual page has every exit code", () => {
  const [, part] = PAGE.split(".Sh EXIT STATUS\n");
  for (const code of Object.values(exitCodes)) {
    assert(part!.includes(`\n.It ${code}\n`), String(code));
  }
});

Deno.test("the manual page bears the date that it is given", () => {
  assertEquals(PAGE.split("\n")[0], ".Dd January 1, 1971");
});
