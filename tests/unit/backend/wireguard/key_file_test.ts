import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { join } from "@std/path";
import {
  BadKeyFileError,
  KeyFile,
} from "../../../../backend/wireguard/key_file.ts";
import { systemRandom } from "../../../../linux/random.ts";
import { x25519PublicKey } from "../../../../linux/x25519.ts";
import { CapturedLogs } from "../../../support/capture_logs.ts";

const MAC = "02:00:00:00:00:01";
const FLANNELS = new Uint8Array(32).fill(0x48);
const FLANNELS_PUBLIC = x25519PublicKey(FLANNELS).toBase64();

interface World {
  readonly path: string;
  readonly flannelPath: string;
  /** As a new process. */
  readonly keys: () => KeyFile;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  const path = join(directory, "state", "coreos.com-network.key");
  const flannelPath = join(directory, "wgkey");
  try {
    await body({
      path,
      flannelPath,
      keys: () => new KeyFile({ path, flannelPath, random: systemRandom }),
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const permissions = (path: string) => Deno.statSync(path).mode! & 0o7777;

Deno.test("a key is made once and kept over restarts, readable by its owner only", () =>
  withWorld(async ({ keys, path }) => {
    const first = keys();
    const [one, two] = await Promise.all([first.load(MAC), first.load(MAC)]);
    assertEquals(one, two);
    const again = await keys().load(MAC);
    assertEquals(again.publicKey, one.publicKey);
    assertEquals(again.reveal(), one.reveal());
    assertEquals(permissions(path), 0o600);
    assertEquals(permissions(join(path, "..")), 0o700);
  }));

Deno.test("a key file that others could read is closed", () =>
  withWorld(async ({ keys, path }) => {
    const { publicKey } = await keys().load(MAC);
    await Deno.chmod(path, 0o644);
    assertEquals((await keys().load(MAC)).publicKey, publicKey);
    assertEquals(permissions(path), 0o600);
  }));

Deno.test("flannel's key is taken over at first sight, and kept when its file is gone", () =>
  withWorld(async ({ flannelPath, keys }) => {
    await Deno.writeTextFile(flannelPath, `${FLANNELS.toBase64()}\n`);
    assertEquals((await keys().load(MAC)).publicKey, FLANNELS_PUBLIC);
    await Deno.remove(flannelPath);
    const kept = await keys().load(MAC);
    assertEquals(kept.publicKey, FLANNELS_PUBLIC);
    // A later one of flannel's changes nothing: a key is changed only on request.
    await Deno.writeTextFile(
      flannelPath,
      new Uint8Array(32).fill(8).toBase64(),
    );
    assertEquals((await keys().load(MAC)).publicKey, FLANNELS_PUBLIC);
  }));

Deno.test("a removed file is the request for another key", () =>
  withWorld(async ({ keys, path }) => {
    const before = await keys().load(MAC);
    await Deno.remove(path);
    assertNotEquals((await keys().load(MAC)).publicKey, before.publicKey);
  }));

Deno.test("a clone of the machine, on another underlay, makes a key of its own", () =>
  withWorld(async ({ keys }) => {
    using logs = new CapturedLogs();
    const before = await keys().load(MAC);
    const clone = await keys().load("02:00:00:00:00:02");
    assertNotEquals(clone.publicKey, before.publicKey);
    assertEquals(logs.events("backend.key-other-underlay").length, 1);
  }));

Deno.test("a host that moves to another underlay while it runs keeps its key", () =>
  withWorld(async ({ keys }) => {
    const running = keys();
    const before = await running.load(MAC);
    const moved = await running.load("02:00:00:00:00:02");
    assertEquals(moved.publicKey, before.publicKey);
    const restarted = await keys().load("02:00:00:00:00:02");
    assertEquals(restarted.publicKey, before.publicKey);
  }));

Deno.test("a file that is no key is refused without showing what is in it", () =>
  withWorld(async ({ flannelPath, keys, path }) => {
    const secret = new Uint8Array(31).fill(0x48).toBase64();
    await Deno.writeTextFile(flannelPath, secret);
    const refused = await assertRejects(
      () => keys().load(MAC),
      BadKeyFileError,
    );
    assertEquals([refused.code, refused.retryable], ["backend.key", false]);
    assert(refused.message.includes(flannelPath));
    await Deno.mkdir(join(path, ".."));
    for (
      const text of [
        secret,
        JSON.stringify({ version: 1, underlayMac: MAC, privateKey: secret }),
        JSON.stringify({ version: 2, underlayMac: MAC, privateKey: secret }),
        "",
      ]
    ) {
      await Deno.writeTextFile(path, text);
      const error = await assertRejects(
        () => keys().load(MAC),
        BadKeyFileError,
      );
      assert(error.message.includes(path), error.message);
      assert(!Deno.inspect(error).includes(secret.slice(0, 20)));
    }
    // Repaired while the agent waits.
    await Deno.remove(path);
    await Deno.remove(flannelPath);
    await keys().load(MAC);
  }));

Deno.test("a key that cannot be saved is used all the same, with a warning", () =>
  withWorld(async ({ keys, path }) => {
    using logs = new CapturedLogs();
    // A file in the place of the directory.
    await Deno.writeTextFile(join(path, ".."), "");
    const { publicKey } = await keys().load(MAC);
    assertEquals(publicKey.length, 44);
    const [event] = logs.events("backend.key-not-saved");
    assertEquals(event!.path, path);
  }));
