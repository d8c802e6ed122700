import { assertEquals, assertMatch } from "@std/assert";
import { run } from "../../../../commands/config/config_show.ts";
import { FakeCommandIo } from "../../../fakes/fake_command_io.ts";

/** A host on which an agent runs. */
const HOST = {
  findAgent: () =>
    Promise.resolve({
      pid: 7,
      env: {
        FLANNELD_IFACE: "eth7",
        FLANNELD_ETCD_USERNAME: "me",
        FLANNELD_ETCD_PASSWORD: "hunter2",
      },
      words: ["--ip-masq=true"],
      logFile: undefined,
      unit: "loden.service",
    }),
  readText: () => undefined,
};

async function show(...words: string[]): Promise<string> {
  const io = new FakeCommandIo(words);
  assertEquals(await run(io.as("config show"), HOST), 0);
  return io.out;
}

Deno.test("without settings of its own, the command shows those of the running agent", async () => {
  const text = await show();
  assertMatch(text, /^settings of process 7, the running agent\nSETTING /);
  assertMatch(text, /^iface +eth7 +environment: FLANNELD_IFACE$/m);
  assertMatch(text, /^ip-masq +true +command line: --ip-masq$/m);
  assertEquals(text.includes("hunter2"), false);
  const json = await show("--json");
  assertEquals(JSON.parse(json).of, "process 7, the running agent");
  assertEquals(json.includes("hunter2"), false);
});

Deno.test("settings that the command is given are shown alone", async () => {
  const text = await show("--iface=eth1");
  assertMatch(text, /^SETTING /);
  assertMatch(text, /^iface +eth1 +command line: --iface$/m);
  assertMatch(text, /^ip-masq +false +default$/m);
  assertEquals(JSON.parse(await show("--json", "--iface=eth1")).of, null);
});
