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
