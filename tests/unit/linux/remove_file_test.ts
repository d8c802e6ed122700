import { assertEquals } from "@std/assert";
import { removeFile } from "../../../linux/remove_file.ts";

/** What is left in a directory after `path` in it was removed. */
async function leftAfter(
  path: string,
  prepare: (directory: string) => Promise<void>,
): Promise<string[]> {
  const directory = await Deno.makeTempDir();
  try {
    await prepare(directory);
    await removeFile(`${directory}/${path}`);
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a file is removed, and its neighbours stay", async () => {
  const left = await leftAfter("a", async (directory) => {
    await Deno.writeTextFile(`${directory}/a`, "");
    await Deno.writeTextFile(`${directory}/b`, "");
  });
  assertEquals(left, ["b"]);
});

Deno.test("a link is removed with the file that was written through it", async () => {
  const left = await leftAfter("link", async (directory) => {
    await Deno.writeTextFile(`${directory}/a`, "");
    await Deno.symlink("a", `${directory}/link`);
  });
  assertEquals(left, []);
});

Deno.test("a link that leads nowhere is removed", async () => {
  const left = await leftAfter(
    "link",
    (directory) => Deno.symlink("a", `${directory}/link`),
  );
  assertEquals(left, []);
});

Deno.test("what a link of another user could lead to is kept", async () => {
  const left = await leftAfter("link", async (directory) => {
    await Deno.writeTextFile(`${directory}/a`, "");
    await Deno.symlink("a", `${directory}/link`);
    await Deno.chmod(directory, 0o777);
  });
  assertEquals(left, ["a"]);
});

Deno.test("a device behind a link is kept", async () => {
  const left = await leftAfter(
    "link",
    (directory) => Deno.symlink("/dev/null", `${directory}/link`),
  );
  assertEquals(left, []);
  assertEquals((await Deno.lstat("/dev/null")).isCharDevice, true);
});
