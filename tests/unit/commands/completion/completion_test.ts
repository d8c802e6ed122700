import { assert, assertEquals } from "@std/assert";
import {
  COMPLETION_SHELLS,
  renderCompletion,
} from "../../../../commands/completion/completion.ts";
import { AGENT_FLAGS } from "../../../../config/flags.ts";

const input = {
  program: "loden",
  flags: AGENT_FLAGS,
  commands: [
    { name: "config get", help: "print the network's config", flags: [] },
    { name: "config show", help: "it's all", flags: AGENT_FLAGS.slice(0, 2) },
    { name: "status", help: "print the state", flags: [] },
  ],
};

const bash = renderCompletion("bash", input);

/** What bash offers for a line whose words it has split already. */
async function offers(...words: string[]): Promise<string[]> {
  const script = `${bash}
    compopt() { :; }
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _loden
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, success } = await new Deno.Command("bash", {
    args: ["--norc", "-c", script, "bash", ...words],
  }).output();
  assertEquals(success, true);
  return new TextDecoder().decode(stdout).split("\n").filter((w) => w !== "");
}

Deno.test("bash offers commands first, word by word", async () => {
  assertEquals(await offers("loden", ""), ["config", "status"]);
  assertEquals(await offers("loden", "config", ""), ["get", "show"]);
  assertEquals(await offers("loden", "config", "s"), ["show"]);
});

Deno.test("bash offers the flags of the command, with = where a value follows", async () => {
  assertEquals(await offers("loden", "--ip-"), [
    "--ip-masq",
    "--ip-masq-fully-random-disable",
    "--ip-blackhole-route",
  ]);
  assertEquals(await offers("loden", "config", "show", "--"), [
    "--etcd-endpoints=",
    "--etcd-prefix=",
  ]);
  assertEquals(await offers("loden", "status", "--"), []);
});

Deno.test("bash offers values, joined or apart, but none apart for a bool", async () => {
  assertEquals(await offers("loden", "--datapath", "=", "t"), ["tun"]);
  assertEquals(await offers("loden", "--datapath", "="), [
    "auto",
    "ebpf",
    "tun",
  ]);
  assertEquals(await offers("loden", "--datapath=t"), ["tun"]);
  assertEquals(await offers("loden", "-datapath", "t"), ["tun"]);
  assertEquals(await offers("loden", "--ip-masq", "=", "f"), ["false"]);
  assertEquals(await offers("loden", "--ip-masq", "--iface-r"), [
    "--iface-regex=",
  ]);
  assertEquals(await offers("loden", "--public-ip", ""), []);
  assertEquals(await offers("loden", "--iface", "=", "lo"), ["lo"]);
  assertEquals(await offers("loden", "--etcd-cafile", "=", "/etc/hostn"), [
    "/etc/hostname",
  ]);
});

Deno.test("every shell's script has each active flag and each command, and no refused flag", () => {
  for (const shell of COMPLETION_SHELLS) {
    const script = renderCompletion(shell, input);
    for (const { name, status } of AGENT_FLAGS) {
      if (name.length < 3) continue;
      const there = new RegExp(`(--|-l )${name}\\b(?!-)`).test(script);
      assertEquals(there, status.kind === "active", `${shell} ${name}`);
    }
    for (const word of ["config", "get", "show", "status"]) {
      assert(script.includes(word), `${shell} ${word}`);
    }
  }
});

Deno.test("texts with quotes are quoted for their shell", () => {
  assert(renderCompletion("zsh", input).includes("'show:it'\\''s all'"));
  assert(renderCompletion("fish", input).includes("-d 'it\\'s all'"));
});
