import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  PasswordFileError,
  readPasswordFile,
} from "../../../../lease/etcd/password.ts";

async function inFile(
  text: string,
  mode: number,
  check: (path: string) => void,
): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, mode);
    check(path);
  } finally {
    await Deno.remove(path);
  }
}

for (
  const [text, password] of [
    ["hunter2", "hunter2"],
    ["hunter2\n", "hunter2"],
    ["hunter2\r\n", "hunter2"],
    [" two words \n\n", " two words \n"],
    ["pässwörd\n", "pässwörd"],
  ] as const
) {
  Deno.test(`a password file of ${JSON.stringify(text)} holds ${JSON.stringify(password)}`, async () => {
    await inFile(
      text,
      0o600,
      (path) => assertEquals(readPasswordFile(path), password),
    );
  });
}

Deno.test("a password file for owner and group is taken", async () => {
  await inFile(
    "hunter2",
    0o440,
    (path) => assertEquals(readPasswordFile(path), "hunter2"),
  );
});

for (const mode of [0o644, 0o604, 0o602]) {
  Deno.test(`a password file of mode ${mode.toString(8)} is refused, without its text`, async () => {
    await inFile("hunter2", mode, (path) => {
      const error = assertThrows(
        () => readPasswordFile(path),
        PasswordFileError,
        `chmod 600 ${path}`,
      );
      assertStringIncludes(error.message, `mode 0${mode.toString(8)}`);
      assertEquals(Deno.inspect(error).includes("hunter2"), false);
    });
  });
}

Deno.test("a password file that is missing, empty or endless says so", async () => {
  assertThrows(
    () => readPasswordFile("/no/such/file"),
    PasswordFileError,
    "there is no such file",
  );
  await inFile(
    "\n",
    0o600,
    (path) =>
      assertThrows(() => readPasswordFile(path), PasswordFileError, "empty"),
  );
  await inFile(
    "x".repeat(10_000),
    0o600,
    (path) =>
      assertThrows(() => readPasswordFile(path), PasswordFileError, "shorter"),
  );
});
