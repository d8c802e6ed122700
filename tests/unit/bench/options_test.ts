import { assert, assertEquals, assertThrows } from "@std/assert";
import { MEASUREMENT_NAMES } from "../../../bench/measurements.ts";
import {
  BENCH_USAGE,
  BenchUsageError,
  parseBenchOptions,
} from "../../../bench/options.ts";

/** The measured paths of a mode. */
function measured(args: readonly string[], mode: string): string[] {
  return parseBenchOptions(args).paths
    .filter(({ modes }) => (modes as readonly string[]).includes(mode))
    .map(({ name }) => name);
}

Deno.test("without arguments, everything is measured three times for five seconds, as between machines and on one kernel", () => {
  const { paths: _, controlPaths: __, ...rest } = parseBenchOptions([]);
  assertEquals(rest, {
    help: false,
    docker: false,
    json: false,
    runs: 3,
    seconds: 5,
    measurements: MEASUREMENT_NAMES,
    modes: ["wire", "super"],
    fewDisturbances: false,
    control: false,
    quick: false,
  });
});

Deno.test("a receive mode has a row where it makes sense", () => {
  const everywhere = ["underlay", "vxlan", "udp-tun", "udp-ebpf"];
  const kernel = ["loden-vxlan", "loden-host-gw"];
  assertEquals(
    measured([], "super"),
    [...everywhere, "udp-ebpf-direct", ...kernel],
  );
  for (const mode of ["software", "wire"]) {
    assertEquals(
      measured([`--modes=${mode}`], mode),
      [...everywhere, "udp-ebpf-xdp", "udp-ebpf-gro", ...kernel],
    );
  }
});

Deno.test("a path that is named is measured in every mode that is", () => {
  const args = ["--paths", "udp-ebpf-xdp,vxlan", "--modes=super,wire,software"];
  assertEquals(parseBenchOptions(args).paths, [
    { name: "vxlan", modes: ["wire", "software", "super"] },
    { name: "udp-ebpf-xdp", modes: ["wire", "software", "super"] },
  ]);
});

Deno.test("paths come in the report's order, each once", () => {
  assertEquals(
    measured(["--paths", "udp-tun,underlay,udp-tun"], "super"),
    ["underlay", "udp-tun"],
  );
});

Deno.test("--peers adds other programs to what is measured anyway", () => {
  const peers = ["fastd", "wireguard-go", "nebula"];
  assertEquals(measured(["--peers"], "super").slice(-3), peers);
  assertEquals(
    measured(["--paths=vxlan", "--peers"], "super"),
    ["vxlan", ...peers],
  );
  assertEquals(measured(["--peers"], "wire").slice(-3), peers);
});

Deno.test("pairs with different data paths are measured only by name", () => {
  const mixed = ["udp-ebpf-to-tun", "udp-tun-to-ebpf"];
  assert(!measured([], "super").some((name) => mixed.includes(name)));
  assertEquals(
    measured([`--paths=udp-tun,${mixed}`], "super"),
    ["udp-tun", ...mixed],
  );
  assertThrows(
    () => parseBenchOptions(["--docker", `--paths=${mixed}`]),
    BenchUsageError,
    "current value has udp-ebpf-to-tun",
  );
});

Deno.test("--modes leaves out the paths that have none of them", () => {
  const { modes, paths } = parseBenchOptions(["--modes=wire"]);
  assertEquals(modes, ["wire"]);
  assertEquals(paths.map(({ name }) => name), measured([], "wire"));
  assert(paths.every(({ modes }) => modes.length === 1));
});

Deno.test("--figures limits what is measured", () => {
  assertEquals(
    parseBenchOptions(["--figures", "restart,tcp"]).measurements,
    ["tcp", "restart"],
  );
});

Deno.test("--quick is one run of one second without details, and --runs overrules it", () => {
  const { fewDisturbances, modes, runs, seconds } = parseBenchOptions([
    "--quick",
  ]);
  assertEquals({ fewDisturbances, modes, runs, seconds }, {
    fewDisturbances: true,
    modes: ["wire"],
    runs: 1,
    seconds: 1,
  });
  assertEquals(
    measured(["--quick"], "wire"),
    ["underlay", "vxlan", "udp-tun", "udp-ebpf"],
  );
  assertEquals(parseBenchOptions(["--runs", "2", "--quick"]).runs, 2);
  assertEquals(parseBenchOptions(["--runs=7"]).runs, 7);
  assertEquals(measured(["--quick", "--modes=super"], "super").length, 4);
});

Deno.test("--docker measures what has an overlay, where packets cross whole and one by one", () => {
  const overlays = ["vxlan", "udp-tun", "udp-ebpf"];
  assertEquals(parseBenchOptions(["--docker"]).modes, ["software", "super"]);
  assertEquals(
    measured(["--docker"], "super"),
    [...overlays, "udp-ebpf-direct"],
  );
  assertEquals(
    measured(["--docker"], "software"),
    [...overlays, "udp-ebpf-xdp", "udp-ebpf-gro"],
  );
  assertEquals(
    measured(["--docker", "--modes=wire", "--paths=udp-ebpf-gro"], "wire"),
    ["udp-ebpf-gro"],
  );
});

Deno.test("the usage fits a terminal and names every option", () => {
  for (const line of BENCH_USAGE.split("\n")) assert(line.length <= 84, line);
  for (
    const option of [
      "runs",
      "paths",
      "docker",
      "peers",
      "modes",
      "figures",
      "quick",
      "json",
      "help",
    ]
  ) {
    assert(BENCH_USAGE.includes(`--${option}`), option);
    assert(!refusal([`--${option}`]).includes("unknown"), option);
  }
});

function refusal(args: readonly string[]): string {
  try {
    parseBenchOptions(args);
    return "";
  } catch (error) {
    if (error instanceof BenchUsageError) return error.message;
    throw error;
  }
}

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
    ["--modes"],
    ["--modes=fast"],
    ["--figures=tcp9"],
    ["--docker", "--control"],
    ["--docker", "--peers"],
    ["--docker", "--figures=tcp"],
    ["--docker", "--paths=vxlan,underlay"],
    ["--paths=nebula", "--docker"],
    ["--slow"],
    ["vxlan"],
  ]
) {
  Deno.test(`${args.join(" ")} is refused`, () => {
    assertThrows(() => parseBenchOptions(args), BenchUsageError);
  });
}

Deno.test("--control goes with the options that say something about it", () => {
  const { control, quick, runs, json } = parseBenchOptions(
    ["--control", "--quick", "--json", "--runs=2"],
  );
  assertEquals({ control, quick, runs, json }, {
    control: true,
    quick: true,
    runs: 2,
    json: true,
  });
  for (const other of ["--peers", "--modes=wire", "--figures=rr"]) {
    assertThrows(
      () => parseBenchOptions(["--control", other]),
      BenchUsageError,
      "--control measures no packets",
    );
  }
});

Deno.test("--control measures the backends that --paths names", () => {
  assertEquals(
    parseBenchOptions(["--control", "--paths=host-gw,vxlan"]).controlPaths,
    ["vxlan", "host-gw"],
  );
  assertEquals(
    parseBenchOptions(["--control"]).controlPaths,
    ["udp-ebpf", "udp-tun", "vxlan", "host-gw"],
  );
  assertThrows(
    () => parseBenchOptions(["--control", "--paths=underlay"]),
    BenchUsageError,
    "--paths must be some of udp-ebpf,udp-tun,vxlan,host-gw",
  );
});
