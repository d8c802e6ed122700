import { assertEquals, assertThrows } from "@std/assert";
import { describeError } from "../../../errors.ts";
import { UsageError } from "../../../config/errors.ts";
import type { FlagValue } from "../../../config/flag_spec.ts";
import { AGENT_FLAGS } from "../../../config/flags.ts";
import { parseGoFlags } from "../../../config/go_flags.ts";

function values(...argv: string[]): Record<string, FlagValue> {
  const { given } = parseGoFlags(AGENT_FLAGS, argv, { words: "refuse" });
  return Object.fromEntries(
    [...given].map(([name, { value }]) => [name, value]),
  );
}

function refusal(...argv: string[]): string {
  return describeError(assertThrows(
    () => parseGoFlags(AGENT_FLAGS, argv, { words: "refuse" }),
    UsageError,
  ));
}

Deno.test("one dash and two are the same, and a value is joined or the next word", () => {
  for (
    const argv of [
      ["-public-ip", "192.0.2.1"],
      ["--public-ip", "192.0.2.1"],
      ["-public-ip=192.0.2.1"],
      ["--public-ip=192.0.2.1"],
    ]
  ) assertEquals(values(...argv), { "public-ip": "192.0.2.1" });
});

Deno.test("a value may be empty, contain = and begin with a dash", () => {
  assertEquals(values("--public-ip="), { "public-ip": "" });
  assertEquals(values("--iface-regex=a=b"), { "iface-regex": ["a=b"] });
  assertEquals(values("--iface", "-v"), { "iface": ["-v"] });
});

Deno.test("a bool alone is true and takes a value by = only", () => {
  assertEquals(values("-ip-masq"), { "ip-masq": true });
  for (const word of ["0", "f", "F", "false", "FALSE", "False"]) {
    assertEquals(values(`--ip-masq=${word}`), { "ip-masq": false });
  }
  assertEquals(
    refusal("--ip-masq", "true"),
    "Cannot read the command line: every word must be a flag or a flag's " +
      'value: current word is "true" (a value of --ip-masq is joined to it: ' +
      "--ip-masq=true)",
  );
});

Deno.test("an integer is a Go literal", () => {
  assertEquals(values("-iptables-resync=0x3c"), { "iptables-resync": 60 });
  assertEquals(values("-v", "010"), { "v": 8 });
});

Deno.test("the last of several scalars holds and lists grow in order", () => {
  assertEquals(values("-v=1", "-v=2"), { "v": 2 });
  assertEquals(values("--iface=eth1", "-iface", "eth0", "--iface=eth2"), {
    "iface": ["eth1", "eth0", "eth2"],
  });
});

Deno.test("reading ends after --", () => {
  assertEquals(values("-v=1", "--"), { "v": 1 });
  assertEquals(
    parseGoFlags(AGENT_FLAGS, ["-v=1", "--", "-v=2", "x"], {
      words: "collect",
    }).words,
    ["-v=2", "x"],
  );
});

Deno.test("-h and -help ask for help, whatever follows", () => {
  for (const word of ["-h", "--h", "-help", "--help"]) {
    const { help } = parseGoFlags(AGENT_FLAGS, [word, "--bogus"], {
      words: "refuse",
    });
    assertEquals(help, true, word);
  }
});

Deno.test("words are collected before, between and after flags where a command takes them", () => {
  const line = parseGoFlags(AGENT_FLAGS, ["a", "-v=1", "-", "--ip-masq", "b"], {
    words: "collect",
  });
  assertEquals(line.words, ["a", "-", "b"]);
  assertEquals([...line.given.keys()], ["v", "ip-masq"]);
});

Deno.test("the spelling of a flag is kept for its provenance", () => {
  const { given } = parseGoFlags(AGENT_FLAGS, ["-v=1", "--iface=x"], {
    words: "refuse",
  });
  assertEquals([...given.values()].map(({ spelling }) => spelling), [
    "-v",
    "--iface",
  ]);
});

Deno.test("an unknown flag is refused with the near one", () => {
  assertEquals(
    refusal("--etcd-endpoint=http://a"),
    "Cannot read the command line: there is no flag --etcd-endpoint " +
      "(did you mean --etcd-endpoints? see --help)",
  );
  assertEquals(
    refusal("--frobnicate"),
    "Cannot read the command line: there is no flag --frobnicate (see --help)",
  );
});

Deno.test("no abbreviation and no bundle of letters is taken for a flag", () => {
  assertThrows(() => values("--etcd-pre=/x"), UsageError);
  assertThrows(() => values("-vh"), UsageError);
});

Deno.test("a password behind a misspelt name is not printed", () => {
  assertEquals(refusal("--etcd-pasword=hunter2").includes("hunter2"), false);
});

Deno.test("a missing value is refused with the form that is right", () => {
  assertEquals(
    refusal("--iface"),
    "Cannot read the command line: --iface must be followed by a value " +
      "(write --iface=NAME|ADDRESS)",
  );
});

Deno.test("a bad value is refused with value, rule and one that passes", () => {
  assertEquals(
    refusal("--healthz-port=70000"),
    "Cannot read the command line: --healthz-port must be a whole number " +
      'from -1 to 65535: current value is "70000" (for example ' +
      "--healthz-port=65535)",
  );
  assertEquals(
    refusal("-ip-masq=yes"),
    "Cannot read the command line: -ip-masq must be true or false: " +
      'current value is "yes" (for example -ip-masq=true)',
  );
  assertEquals(
    refusal("--iptables-resync=0"),
    "Cannot read the command line: --iptables-resync must be a whole number " +
      'of seconds from 1 to 2147483: current value is "0" (for example ' +
      "--iptables-resync=1)",
  );
  assertEquals(
    refusal("--datapath=bpf"),
    "Cannot read the command line: --datapath must be auto, ebpf or tun: " +
      'current value is "bpf" (for example --datapath=ebpf)',
  );
});

Deno.test("a word that is no flag, a lone dash and words after -- are refused", () => {
  for (
    const argv of [["x"], ["-"], ["--", "x"], ["-v=1", "x", "--bogus"], [""]]
  ) {
    assertThrows(() => values(...argv), UsageError, "current word is");
  }
});

Deno.test("bad syntax of a flag is refused", () => {
  for (const word of ["---v", "-=1", "--=1", "---"]) {
    assertThrows(() => values(word), UsageError, "a flag must be -name");
  }
});
