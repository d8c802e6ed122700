import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { writeFileAtomically } from "../../../linux/atomic_file.ts";
import { FileWriteError } from "../../../linux/file_errors.ts";

async function withDirectory(
  body: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function permissions(path: string): number {
  return Deno.statSync(path).mode! & 0o7777;
}

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
}

/** Runs a script as root of a mount namespace of its own, in `directory`. */
async function inMountNamespace(
  directory: string,
  script: string,
): Promise<string> {
  const output = await new Deno.Command("unshare", {
    args: ["-m", "sh", "-euc", script],
    cwd: directory,
    env: { DENO: Deno.execPath(), CONFIG: config, WRITER: writer },
    stdout: "piped",
    stderr: "inherit",
  }).output();
  assert(output.success);
  return new TextDecoder().decode(output.stdout);
}

const config = fromFileUrl(import.meta.resolve("../../../deno.json"));

/** A program that writes `$2` times "x" to `$1` and prints how that ended. */
const writer = `
const { writeFileAtomically } = await import(${
  JSON.stringify(import.meta.resolve("../../../linux/atomic_file.ts"))
});
const [path, count] = Deno.args;
try {
  await writeFileAtomically(path, "x".repeat(Number(count)), { mode: 0o644 });
  console.log("written");
} catch (error) {
  console.log(error.reason + " | " + error.message + " | " + error.hint);
}
`;
const RUN = `"$DENO" run -A --no-lock --config="$CONFIG" --ext=ts - `;

Deno.test("a new file gets its content, its mode and its directories whatever the umask", async () => {
  await withDirectory(async (directory) => {
    // In a process of its own: the umask belongs to the whole process.
    const output = await inMountNamespace(
      directory,
      `umask 077; printf %s "$WRITER" | ${RUN} run/flannel/subnet.env 3
       stat -c %a run run/flannel run/flannel/subnet.env
       cat run/flannel/subnet.env`,
    );
    assertEquals(output, "written\n755\n755\n644\nxxx");
    assertEquals(names(join(directory, "run/flannel")), ["subnet.env"]);
  });
});

Deno.test("an existing file keeps its mode and readers that have it open keep the old content", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "f");
    await Deno.writeTextFile(path, "old");
    await Deno.chmod(path, 0o640);
    using reader = await Deno.open(path);
    await writeFileAtomically(path, "new and longer", { mode: 0o644 });
    assertEquals(await Deno.readTextFile(path), "new and longer");
    assertEquals(permissions(path), 0o640);
    assertEquals(await new Response(reader.readable).text(), "old");
  });
});

Deno.test("a file that already holds the text is not touched", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "f");
    await writeFileAtomically(path, "same", { mode: 0o644 });
    const before = await Deno.stat(path);
    await writeFileAtomically(path, "same", { mode: 0o600 });
    const after = await Deno.stat(path);
    assertEquals(after.ino, before.ino);
    assertEquals(after.mtime, before.mtime);
  });
});

Deno.test("a symbolic link stays one and its target is replaced", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(join(directory, "real"));
    await Deno.writeTextFile(join(directory, "real/f"), "old");
    await Deno.symlink("real/f", join(directory, "link"));
    await writeFileAtomically(join(directory, "link"), "new", { mode: 0o644 });
    assert((await Deno.lstat(join(directory, "link"))).isSymlink);
    assertEquals(await Deno.readTextFile(join(directory, "real/f")), "new");
    assertEquals(names(join(directory, "real")), ["f"]);
  });
});

/** A directory that every user can write to, as `/tmp` is with `mode` 1777. */
async function withOpenDirectory(
  mode: number,
  body: (open: string, victim: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const [open, victim] = ["open", "victim"].map((name) =>
      join(directory, name)
    ) as [string, string];
    await Deno.writeTextFile(victim, "precious");
    await Deno.mkdir(open);
    await Deno.chmod(open, mode);
    await body(open, victim);
    assertEquals(await Deno.readTextFile(victim), "precious");
  });
}

async function assertRefused(path: string, reason: string): Promise<void> {
  const error = await assertRejects(
    () => writeFileAtomically(path, "x", { mode: 0o644 }),
    FileWriteError,
    reason,
  );
  assertEquals(error.reason, "EUNSAFE");
  assert(error.hint?.includes("only root can write to"));
}

Deno.test("a symbolic link in a sticky directory of all users is not followed", async () => {
  await withOpenDirectory(0o1777, async (open, victim) => {
    const link = join(open, "subnet.env");
    await Deno.symlink(victim, link);
    await assertRefused(link, "is a symbolic link in a directory that");
    await Deno.remove(link);
    await Deno.symlink(join(victim, ".."), link);
    await assertRefused(join(link, "victim"), "is a symbolic link");
    await Deno.remove(link);
    await Deno.symlink(join(open, "nowhere"), link);
    await assertRefused(link, "is a symbolic link");
  });
});

Deno.test("a symbolic link in another user's directory is not followed", async () => {
  await withOpenDirectory(0o755, async (foreign, victim) => {
    await Deno.chown(foreign, 65534, 65534);
    const link = join(foreign, "subnet.env");
    await Deno.symlink(victim, link);
    await assertRefused(link, "is a symbolic link in a directory that");
  });
});

Deno.test("a directory that others may rename what is in, or may rename, is refused", async () => {
  await withOpenDirectory(0o777, async (open) => {
    await assertRefused(
      join(open, "f"),
      "every user can write to the directory",
    );
  });
  await withOpenDirectory(0o1777, async (open) => {
    const foreign = join(open, "flannel");
    await Deno.mkdir(foreign);
    await Deno.chown(foreign, 65534, 65534);
    await assertRefused(join(foreign, "f"), "belongs to another user");
  });
});

Deno.test("another user's file in a sticky directory is replaced by ours, with our permission bits", async () => {
  await withOpenDirectory(0o1777, async (open) => {
    const path = join(open, "subnet.env");
    for (const mode of [0o666, 0o644]) {
      await Deno.writeTextFile(path, "x");
      await Deno.chmod(path, mode);
      await Deno.chown(path, 65534, 65534);
      await writeFileAtomically(path, "x", { mode: 0o644 });
      const { uid } = await Deno.stat(path);
      assertEquals([uid, permissions(path)], [Deno.uid(), 0o644]);
    }
  });
});

Deno.test("bytes are written as text is", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "f");
    const bytes = Uint8Array.of(0, 255, 10);
    await writeFileAtomically(path, bytes, { mode: 0o600 });
    assertEquals(await Deno.readFile(path), bytes);
    const { ino } = await Deno.stat(path);
    await writeFileAtomically(path, bytes, { mode: 0o600 });
    assertEquals((await Deno.stat(path)).ino, ino);
  });
});

Deno.test("a file is for its writer alone until it is complete, then it has its owner and permission bits", async () => {
  await withDirectory(async (directory) => {
    const seen = new Set<string>();
    using watcher = Deno.watchFs(directory);
    const watching = (async () => {
      for await (const { paths } of watcher) {
        for (const path of paths) {
          const info = await Deno.lstat(path).catch(() => undefined);
          if (info) seen.add((info.mode! & 0o7777).toString(8));
        }
      }
    })();
    const path = join(directory, "f");
    await Deno.writeTextFile(path, "old", { mode: 0o644 });
    for (let i = 0; i < 20; i++) {
      seen.clear();
      await writeFileAtomically(path, "x".repeat(300_000) + i, {
        mode: 0o640,
        keepMode: false,
        owner: { uid: 65534, gid: 65534 },
      });
    }
    watcher.close();
    await watching;
    const { uid, gid } = await Deno.stat(path);
    assertEquals([uid, gid, permissions(path)], [65534, 65534, 0o640]);
    assertEquals(
      seen.difference(new Set(["600", "640"])).size,
      0,
      [...seen].join(),
    );
  });
});

Deno.test("a directory or a device in the place of the file is refused and stays", async () => {
  await withDirectory(async (directory) => {
    const error = await assertRejects(
      () => writeFileAtomically(directory, "x", { mode: 0o644 }),
      FileWriteError,
      `Cannot write ${directory}: it is a directory`,
    );
    assertEquals(error.reason, "EISDIR");
    assertEquals(error.code, "file.write");
    assert(Deno.statSync(directory).isDirectory);
    await assertRejects(
      () => writeFileAtomically("/dev/null", "x", { mode: 0o644 }),
      FileWriteError,
      "not a regular file",
    );
    assert(Deno.statSync("/dev/null").isCharDevice);
  });
});

Deno.test("a file among the directories of the path is named with what to do", async () => {
  await withDirectory(async (directory) => {
    await Deno.writeTextFile(join(directory, "f"), "");
    const error = await assertRejects(
      () =>
        writeFileAtomically(join(directory, "f/subnet.env"), "x", {
          mode: 0o644,
        }),
      FileWriteError,
    );
    assertEquals(error.reason, "ENOTDIR");
    assert(error.hint?.includes("must be a directory"));
  });
});

Deno.test("a full disk keeps the old content and leaves no temporary file", async () => {
  await withDirectory(async (directory) => {
    const output = await inMountNamespace(
      directory,
      `mount -t tmpfs -o size=64k t . && cd "$PWD" && echo old > f
       printf %s "$WRITER" | ${RUN} "$PWD/f" 1000000
       cat f; ls -A; umount -l "$PWD"`,
    );
    const [result, ...rest] = output.trimEnd().split("\n");
    assert(result!.startsWith("ENOSPC | Cannot write "), result);
    assert(result!.includes("free space"), result);
    assertEquals(rest, ["old", "f"]);
  });
});

Deno.test("a read-only file system keeps the old content and is named", async () => {
  await withDirectory(async (directory) => {
    const output = await inMountNamespace(
      directory,
      `mount -t tmpfs t . && cd "$PWD" && echo old > f
       mount -o remount,ro . && printf %s "$WRITER" | ${RUN} "$PWD/f" 3
       cat f; printf %s "$WRITER" | ${RUN} "$PWD/a/b" 3; umount -l "$PWD"`,
    );
    const lines = output.trimEnd().split("\n");
    assert(lines[0]!.startsWith("EROFS | "), lines[0]);
    assertEquals(lines[1], "old");
    assert(lines[2]!.startsWith("EROFS | "), lines[2]);
  });
});

Deno.test("a directory without write permission is named with what to do", async () => {
  await withDirectory(async (directory) => {
    // Root passes over permission bits, unless it lacks this capability.
    const output = await inMountNamespace(
      directory,
      `mkdir d; echo old > d/f; chmod 555 d; printf %s "$WRITER" |
       setpriv --bounding-set=-dac_override --inh-caps=-dac_override ${RUN} d/f 3
       cat d/f; ls -A d; chmod 755 d`,
    );
    const [result, ...rest] = output.trimEnd().split("\n");
    assert(result!.startsWith("EACCES | Cannot write d/f: "), result);
    assert(result!.includes("write permission"), result);
    assertEquals(rest, ["old", "f"]);
  });
});

Deno.test("many writers at once leave one whole content and nothing else", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "f");
    const texts = Array.from({ length: 20 }, (_, i) => `${i}\n`.repeat(5000));
    await Promise.all(
      texts.map((text) => writeFileAtomically(path, text, { mode: 0o644 })),
    );
    assert(texts.includes(await Deno.readTextFile(path)));
    assertEquals(names(directory), ["f"]);
  });
});
