import { assertEquals, assertThrows } from "@std/assert";
import { BenchUsageError, parseBenchOptions } from "../../../bench/options.ts";

Deno.test("without arguments, all paths are measured three times for five seconds", () => {
  assertEquals(parseBenchOptions([]), {
    help: false,
    json: false,
    runs: 3,
    paths: ["underlay", "vxlan", "udp-tun"],
    seconds: 5,
  });
});

Deno.test("--quick is one run of one second, and --runs overrules it", () => {
  assertEquals(parseBenchOptions(["--quick"]).runs, 1);
  assertEquals(parseBenchOptions(["--quick"]).seconds, 1);
  assertEquals(parseBenchOptions(["--runs", "2", "--quick"]).runs, 2);
  assertEquals(parseBenchOptions(["--runs=7"]).runs, 7);
});

Deno.test("paths come in the report's order, each once", () => {
  assertEquals(
    parseBenchOptions(["--paths", "udp-tun,underlay,udp-tun"]).paths,
    ["underlay", "udp-tun"],
  );
});

for (
  const args of [
    ["--runs"],
    ["--runs", "0"],
    ["--runs=-1"],
    ["--runs=1.5"],
    ["--runs=1000"],
    ["--paths"],
    ["--paths="],
    ["--paths=ipip"],
    ["--paths=vxlan,"],
    ["--slow"],
    ["vxlan"],
  ]
) {
  Deno.test(`${args.join(" ")} is refused`, () => {
    assertThrows(() => parseBenchOptions(args), BenchUsageError);
  });
}
