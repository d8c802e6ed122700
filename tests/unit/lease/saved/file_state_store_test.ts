import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FileStateStore } from "../../../../lease/saved/file_state_store.ts";
import { decodeState } from "../../../../lease/saved/state_codec.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import type { StoredPeer } from "../../../../lease/saved/state_store.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";
import { systemClock } from "../../../../linux/clock.ts";
import { FileWriteError } from "../../../../linux/file_errors.ts";
import { systemRandom } from "../../../../linux/random.ts";

const components = { clock: systemClock, random: systemRandom };
const MAC = "02:00:00:00:00:01";
const lease = {
  subnet: parseCidr("10.1.5.0/24")!,
  publicIp: parseIpv4("198.51.100.1")!,
  expiresAtMs: Date.UTC(2026, 0, 2),
};
const peer: StoredPeer = {
  subnet: parseCidr("10.1.6.0/24")!,
  publicIp: parseIpv4("198.51.100.2")!,
  backendType: "udp",
  stale: false,
};

async function inDirectory(
  run: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "loden-state-" });
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function open(path: string, underlayMac = MAC): Promise<FileStateStore> {
  return FileStateStore.open(components, { path, underlayMac });
}

Deno.test("a first run makes a host id, and later runs keep it", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/deep/network.json`;
    const first = await open(path);
    await first.close();
    const second = await open(path);
    assertEquals(second.hostId, first.hostId);
    assertEquals(second.hostId.length, 32);
    await second.close();
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("lease, peers and config are found by the next run", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/network.json`;
    const first = await open(path);
    first.saveConfig("{}");
    first.saveLease(lease);
    first.savePeers(() => [peer]);
    await first.close();
    const second = await open(path);
    assertEquals(second.lease, lease);
    assertEquals(second.peers, [peer]);
    assertEquals(second.configText, "{}");
    await second.close();
  }));

Deno.test("networks on one host do not share their state", () =>
  inDirectory(async (directory) => {
    const one = await open(`${directory}/one.json`);
    const two = await open(`${directory}/two.json`);
    one.saveLease(lease);
    await one.close();
    await two.close();
    assertEquals((await open(`${directory}/two.json`)).lease, undefined);
  }));

Deno.test("a cloned machine, with another MAC, becomes another host", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/network.json`;
    const original = await open(path);
    original.saveLease(lease);
    await original.close();
    const clone = await open(path, "02:00:00:00:00:02");
    assertNotEquals(clone.hostId, original.hostId);
    assertEquals(clone.lease, undefined);
    await clone.close();
    const again = await open(path, "02:00:00:00:00:02");
    assertEquals(again.hostId, clone.hostId);
    await again.close();
  }));

for (
  const text of [
    "",
    "garbage",
    "{}",
    '{"version":2}',
    "\xff\xfe",
    "[".repeat(99_999),
  ]
) {
  Deno.test(`a state file with ${JSON.stringify(text.slice(0, 12))} is set aside, and the run goes on`, () =>
    inDirectory(async (directory) => {
      const path = `${directory}/network.json`;
      await Deno.writeTextFile(path, text);
      const store = await open(path);
      assertEquals(store.peers, []);
      await store.close();
      assertEquals(await Deno.readTextFile(`${path}.unreadable`), text);
      assertEquals((await open(path)).hostId, store.hostId);
    }));
}

Deno.test("a state directory that cannot be written costs memory only", () =>
  inDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/file`, "");
    const store = await open(`${directory}/file/network.json`);
    store.saveLease(lease);
    assertEquals(store.lease, lease);
    await store.close();
  }));

Deno.test("each attempt to save is told, whether it fails or works again", () =>
  inDirectory(async (directory) => {
    const blocker = `${directory}/file`;
    await Deno.writeTextFile(blocker, "");
    const results: unknown[] = [];
    const store = await FileStateStore.open(components, {
      path: `${blocker}/network.json`,
      underlayMac: MAC,
      onResult: (error) => results.push(error),
    });
    for (let tries = 0; tries < 1_000 && results.length === 0; tries++) {
      await systemClock.sleep(1);
    }
    assert(results[0] instanceof FileWriteError);
    await Deno.remove(blocker);
    await store.close();
    assertEquals(results.at(-1), undefined);
  }));

Deno.test("config and lease are on disk at once, however young the last write is", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/network.json`;
    // It stands still: no pause ends by itself.
    const clock = new FakeClock();
    const store = await FileStateStore.open(
      { clock, random: systemRandom },
      { path, underlayMac: MAC },
    );
    const untilSaved = async (text: string) => {
      for (let tries = 0; tries < 1_000; tries++) {
        const saved = await Deno.readTextFile(path).catch(() => "");
        if (saved.includes(text)) return;
        await systemClock.sleep(5);
      }
      throw new Error(`${text} is not in ${path}`);
    };
    await untilSaved(store.hostId);
    store.saveConfig("a config");
    await untilSaved("a config");
    store.saveLease(lease);
    await untilSaved("10.1.5.0/24");
    await store.close();
  }));

Deno.test("many changes are few writes, and the last one is on disk", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/network.json`;
    const store = await open(path);
    let writes = 0;
    const watcher = Deno.watchFs(directory);
    const counting = (async () => {
      for await (const event of watcher) {
        if (event.kind === "rename" || event.kind === "modify") writes++;
      }
    })();
    for (let i = 0; i < 200; i++) {
      const publicIp = parseIpv4(`198.51.100.${i}`)!;
      store.savePeers(() => [{ ...peer, publicIp }]);
      await systemClock.sleep(1);
    }
    await store.close();
    watcher.close();
    await counting;
    assert(writes < 40, `${writes} events`);
    const again = await open(path);
    assertEquals(again.peers[0]?.publicIp, parseIpv4("198.51.100.199")!);
  }));

Deno.test("peers that take long to write down are written less often, but for the last time", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/network.json`;
    const clock = new FakeClock();
    let workMs = 0;
    const slow = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + workMs,
      sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal),
    };
    const store = await FileStateStore.open({ ...components, clock: slow }, {
      path,
      underlayMac: MAC,
    });
    const written = async () =>
      decodeState(await Deno.readTextFile(path)).peers[0]?.publicIp;
    const save = (text: string) => {
      const publicIp = parseIpv4(text)!;
      store.savePeers(() => {
        workMs += 10;
        return [{ ...peer, publicIp }];
      });
      return publicIp;
    };
    /** The write is the disk's, whatever the clock says. */
    const until = async (condition: () => boolean | Promise<boolean>) => {
      while (!await condition()) await systemClock.sleep(1);
    };
    const first = save("198.51.100.1");
    await until(() => clock.sleepers === 1);
    await clock.advance(2_000);
    await until(async () => await written() === first);
    await until(() => clock.sleepers === 1);
    save("198.51.100.2");
    await clock.advance(4_999);
    assertEquals([clock.sleepers, await written()], [1, first]);
    const third = save("198.51.100.3");
    await clock.advance(1);
    await until(async () => await written() === third);
    const last = save("198.51.100.4");
    await store.close();
    assertEquals(await written(), last);
  }));
