import { assertEquals } from "@std/assert";
import { packFiles } from "../../../../commands/bundle/archive.ts";
import { attempt } from "../../../../tools/command.ts";

Deno.test("tar lists an archive of any length without a complaint", async () => {
  const path = await Deno.makeTempFile();
  // The writer fills up to 20 blocks: it leaves two or more, one, and none.
  for (const dataBlocks of [16, 17, 18]) {
    const text = "x".repeat(512 * dataBlocks);
    const facts = { createdMs: 0, name: "a" };
    await Deno.writeFile(path, await packFiles([["b.txt", text]], facts));
    assertEquals(await attempt(["tar", "--list", "--gzip", `--file=${path}`]), {
      exitCode: 0,
      stdout: "a/\na/b.txt\n",
      stderr: "",
    });
  }
  await Deno.remove(path);
});
