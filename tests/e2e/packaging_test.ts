/**
 * What `deno task dist` makes: contents, sums, modes, and that the same binary
 * gives the same bytes.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { attempt, run } from "../../tools/command.ts";
import { DistError } from "../../tools/dist/errors.ts";
import { makeDist } from "../../tools/dist/make_dist.ts";
import { readRelease } from "../../tools/dist/release.ts";
import { VERSION } from "../../version.ts";
import { bomSchema } from "../support/bom_schema.ts";
import { binaryIn } from "../support/binary.ts";

const SUMS = "usr/share/doc/loden/SHA256SUMS";
const MANUAL = "usr/share/man/man8/loden.8";

/** What a test looks at; everything in one directory, removed at the end. */
interface World {
  readonly directory: string;
  readonly binary: string;
  /** As `deno task dist` leaves it. */
  readonly dist: string;
  readonly names: readonly string[];
  readonly tarball: string;
  readonly debianPackage: string;
  /** The tarball, unpacked as into `/`. */
  readonly root: string;
  /** The Debian package's files, and its control files in `DEBIAN/`. */
  readonly debianRoot: string;
}

let made: Promise<World> | undefined;

function world(): Promise<World> {
  return made ??= build();
}

async function build(): Promise<World> {
  const directory = await Deno.makeTempDir({ prefix: "loden-dist-" });
  const dist = `${directory}/dist`;
  const binary = await binaryIn(directory);
  const names = await makeDist({
    binary,
    formats: ["tarball", "deb"],
    // Whichever it has: the one here may be the only one to be had.
    runtime: "recovered",
    out: dist,
  });
  const find = (ending: string) =>
    `${dist}/${names.find((name) => name.endsWith(ending))}`;
  const all = {
    directory,
    binary,
    dist,
    names,
    tarball: find(".tar.gz"),
    debianPackage: find(".deb"),
    root: `${directory}/root`,
    debianRoot: `${directory}/debian`,
  };
  await Deno.mkdir(all.root);
  await run([
    ...["tar", "--extract", "--gunzip", "--strip-components=1"],
    ...[`--file=${all.tarball}`, `--directory=${all.root}`],
  ]);
  await run(["dpkg-deb", "-R", all.debianPackage, all.debianRoot]);
  return all;
}

Deno.test.afterAll(async () => {
  // What was not made has failed its tests already.
  const [result] = await Promise.allSettled([made]);
  if (result.status === "fulfilled" && result.value !== undefined) {
    await Deno.remove(result.value.directory, { recursive: true });
  }
});

/** `MODE OWNER PATH` of everything below, links with their target. */
async function listing(root: string): Promise<string[]> {
  const said = await run([
    ...["find", root, "-mindepth", "1", "(", "-type", "l"],
    ...["-printf", "link %U:%G %P -> %l\\n", "-o"],
    ...["-printf", "%m %U:%G %P\\n", ")"],
  ]);
  return said.trimEnd().split("\n").sort();
}

Deno.test("the sums are those of the files that are handed out", async () => {
  const { dist, names } = await world();
  const check = ["sha256sum", "--check", "--strict", "SHA256SUMS"];
  const said = await run(["env", "-C", dist, ...check]);
  assertEquals(
    said.trimEnd().split("\n").sort(),
    names.filter((name) => name !== "SHA256SUMS").map((name) => `${name}: OK`)
      .sort(),
  );
});

Deno.test("a release is verified by the documented commands, and a changed file is refused", async () => {
  const { binary, directory } = await world();
  const out = `${directory}/signed`;
  const key = `${directory}/key`;
  for (const file of [key, `${directory}/other`]) {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file]);
  }
  const dist = (signKey?: string) =>
    makeDist({
      binary,
      formats: ["tarball"],
      runtime: "recovered",
      out,
      signKey,
    });
  const names = await dist(key);
  assertEquals(names.slice(-2), ["SHA256SUMS", "SHA256SUMS.sig"]);
  const [first] = names;
  const documented = await documentedVerification();
  const verify = async (trusted: string) => {
    const [algorithm, base64] = (await Deno.readTextFile(`${trusted}.pub`))
      .split(" ");
    return await attempt([
      ...["env", "-C", out, "sh", "-ec"],
      documented.replace("ssh-ed25519 AAAA…", `${algorithm} ${base64}`),
    ]);
  };
  const good = await verify(key);
  assertEquals(good.exitCode, 0, good.stderr);
  assertMatch(good.stdout, /Good "loden-release" signature/);
  // A key that another publishes.
  assertNotEquals((await verify(`${directory}/other`)).exitCode, 0);
  const sums = await Deno.readTextFile(`${out}/SHA256SUMS`);
  await Deno.writeTextFile(`${out}/${first}`, "changed");
  const changed = await verify(key);
  assertNotEquals(changed.exitCode, 0);
  assertStringIncludes(changed.stdout, `${first}: FAILED`);
  // With sums that fit the changed file.
  const ours = await run(["env", "-C", out, "sha256sum", first!]);
  await Deno.writeTextFile(
    `${out}/SHA256SUMS`,
    sums.replace(/^.*\.tar\.gz\n/m, ours),
  );
  const forged = await verify(key);
  assertNotEquals(forged.exitCode, 0);
  assertStringIncludes(forged.stderr + forged.stdout, "incorrect signature");
  // A build without a key does not keep the signature of another.
  await dist();
  await assertRejects(
    () => Deno.stat(`${out}/SHA256SUMS.sig`),
    Deno.errors.NotFound,
  );
});

/** The commands under "Verify a release", in one script. */
async function documentedVerification(): Promise<string> {
  const document = await Deno.readTextFile(
    new URL("../../docs/installation.md", import.meta.url),
  );
  const part = document.split("\n## Verify a release\n")[1]!.split("\n## ")[0]!;
  return [...part.matchAll(/^```sh verify\n([^]*?)^```/gm)]
    .map(([, commands]) => commands).join("");
}

Deno.test("the tarball's own sums are those of its files, and of all of them", async () => {
  const { root } = await world();
  await run(["env", "-C", root, "sha256sum", "--check", "--strict", SUMS]);
  const sums = await Deno.readTextFile(`${root}/${SUMS}`);
  const files = (await run(["find", root, "-type", "f", "-printf", "%P\\n"]))
    .trimEnd().split("\n").filter((path) => path !== SUMS);
  assertEquals(
    sums.trimEnd().split("\n").map((line) => line.split("  ")[1]),
    files.sort(),
  );
});

Deno.test("the files belong to root, and no other user may write to them", async () => {
  const { debianPackage, tarball } = await world();
  for (
    const list of [
      ["tar", "--list", "--verbose", "--numeric-owner", `--file=${tarball}`],
      ["dpkg-deb", "--contents", debianPackage],
    ]
  ) {
    const lines = (await run(list)).trimEnd().split("\n");
    assert(lines.length > 30);
    for (const line of lines) {
      const isProgram = /usr\/bin\/loden$|\/$/.test(line);
      const mode = /^l/.test(line)
        ? "rwxrwxrwx"
        : isProgram
        ? "rwxr-xr-x"
        : "rw-r--r--";
      const [permissions, owner] = line.split(" ");
      assertEquals(permissions!.slice(1), mode, line);
      assert(["0/0", "root/root"].includes(owner!), line);
    }
  }
});

Deno.test("tarball and package have the same files, but for Debian's own", async () => {
  const { debianRoot, root } = await world();
  const plain = async (directory: string) =>
    (await listing(directory)).map((line) => line.split(" ").slice(2).join(" "))
      .map((path) => path.replace(/ -> .*$/, "").replace(/\.gz$/, ""))
      .filter((path) => !/^(DEBIAN|etc)/.test(path));
  const [ours, debians] = [await plain(root), await plain(debianRoot)];
  const DOC = "usr/share/doc/loden";
  assertEquals(
    ours.filter((path) => !debians.includes(path)).sort(),
    [`${DOC}/LICENSE`, `${DOC}/SHA256SUMS`],
  );
  assertEquals(
    debians.filter((path) => !ours.includes(path)).sort(),
    [
      `${DOC}/changelog`,
      `${DOC}/copyright`,
      "usr/share/lintian",
      "usr/share/lintian/overrides",
      "usr/share/lintian/overrides/loden",
    ],
  );
});

Deno.test("the program is the binary, byte for byte, in both", async () => {
  const { binary, debianRoot, root } = await world();
  for (const directory of [root, debianRoot]) {
    await run(["cmp", binary, `${directory}/usr/bin/loden`]);
  }
});

Deno.test("called flanneld it is the same program", async () => {
  const { root } = await world();
  for (const args of [["--version"], ["--help"], ["status", "--help"]]) {
    const [loden, flanneld] = await Promise.all(
      ["loden", "flanneld"].map((name) =>
        attempt([`${root}/usr/bin/${name}`, ...args])
      ),
    );
    assertEquals(flanneld, loden);
    assertEquals(loden!.exitCode, 0);
  }
});

Deno.test("the package asks for no older C library than the program needs", async () => {
  const { debianPackage, root } = await world();
  const symbols = await run(["objdump", "-T", `${root}/usr/bin/loden`]);
  const versions = [...symbols.matchAll(/\(?GLIBC_(\d+)\.(\d+)/g)]
    .map(([, major, minor]) => Number(major) * 1_000 + Number(minor));
  const depends = await run(["dpkg-deb", "--field", debianPackage, "Depends"]);
  const [, major, minor] = /libc6 \(>= (\d+)\.(\d+)\)/.exec(depends)!;
  assert(versions.length > 0);
  assertEquals(
    Math.max(...versions),
    Number(major) * 1_000 + Number(minor),
  );
});

Deno.test("lintian has nothing to say about the package", async () => {
  const { debianPackage } = await world();
  const { exitCode, stdout } = await attempt([
    ...["lintian", "--display-info", "--fail-on=error,warning,info"],
    debianPackage,
  ]);
  assertEquals([stdout, exitCode], ["", 0]);
});

Deno.test("mandoc has nothing to say about the manual page", async () => {
  const { root } = await world();
  const said = await attempt(["mandoc", "-T", "lint", `${root}/${MANUAL}`]);
  assertEquals([said.stdout, said.exitCode], ["", 0]);
  const plain = await run(["mandoc", "-T", "markdown", `${root}/${MANUAL}`]);
  assert(plain.includes("\n# EXIT STATUS\n"));
});

Deno.test("the completion for bash is a script that bash can read", async () => {
  const { root } = await world();
  await run([
    ...["bash", "--norc", "-ec"],
    'source "$1" && complete -p loden',
    ...["bash", `${root}/usr/share/bash-completion/completions/loden`],
  ]);
});

Deno.test("the bill of materials lists the binary's content, none of our tools, in CycloneDX's form", async () => {
  const { root } = await world();
  const bom = JSON.parse(
    await Deno.readTextFile(`${root}/usr/share/doc/loden/loden.cdx.json`),
  );
  const { components } = bom;
  const versionOf = (name: string) =>
    components.find((each: { name: string }) => each.name === name)?.version;
  const { deno, runtime } = JSON.parse(
    await run([`${root}/usr/bin/loden`, "version", "--json"]),
  );
  assertEquals(versionOf("deno"), deno);
  assertEquals(
    components.find((each: { name: string }) => each.name === "deno")
      .description,
    `denort, ${runtime}`,
  );
  assert(versionOf("etcd3") !== undefined);
  assertEquals(versionOf("assemblyscript"), undefined);
  const schema = await bomSchema();
  assertEquals(schema.validate(bom).errors, []);
  components[0].type = "no such type";
  assert(!schema.validate(bom).valid);
});

Deno.test("a binary with a recovered runtime is packed only when that is asked for", async () => {
  const { binary, directory } = await world();
  const { deno, runtime } = JSON.parse(
    await run([binary, "version", "--json"]),
  );
  const out = `${directory}/official`;
  const attempted = makeDist({
    binary,
    formats: ["tarball"],
    runtime: "official",
    out,
  });
  if (runtime === "official") {
    assertEquals((await attempted).length, 3);
    return;
  }
  const { code, message } = await assertRejects(() => attempted, DistError);
  assertEquals(code, "dist.runtime");
  assert(message.includes(`Deno ${deno}, ${runtime}`), message);
  await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
});

Deno.test("the package's description says which runtime is inside", async () => {
  const { binary, debianPackage } = await world();
  const { deno, runtime } = JSON.parse(
    await run([binary, "version", "--json"]),
  );
  const field = await run(["dpkg-deb", "-f", debianPackage, "Description"]);
  const origin = runtime === "official" ? "the official one" : runtime;
  const last = ` The runtime inside is Deno ${deno},\n ${origin}.\n`;
  assert(field.endsWith(last), field);
});

Deno.test("the same commit and binary give the same bytes, whatever the umask and the time zone", async () => {
  const { binary, directory, dist } = await world();
  const umask = Deno.umask(0o077);
  const zone = Deno.env.get("TZ");
  Deno.env.set("TZ", "Pacific/Kiritimati");
  try {
    await makeDist({
      binary,
      formats: ["tarball", "deb"],
      runtime: "recovered",
      out: `${directory}/again`,
    });
  } finally {
    Deno.umask(umask);
    if (zone === undefined) Deno.env.delete("TZ");
    else Deno.env.set("TZ", zone);
  }
  const sums = (path: string) => Deno.readTextFile(`${path}/SHA256SUMS`);
  assertEquals(await sums(`${directory}/again`), await sums(dist));
});

Deno.test("the names say which Loden for which machine", async () => {
  const { binary, names } = await world();
  const { architecture } = await readRelease(binary);
  assertEquals(names, [
    `loden-${VERSION}-linux-${architecture}.tar.gz`,
    `loden_${VERSION}_${architecture}.deb`,
    `loden-${VERSION}.cdx.json`,
    "SHA256SUMS",
  ]);
});

Deno.test("an installation from the tarball is removed by the documented command", async () => {
  const { root } = await world();
  const document = await Deno.readTextFile(
    new URL("../../docs/installation.md", import.meta.url),
  );
  const [, command] = /^cd \/ && (cut [^]*?)\nsystemctl/m.exec(document)!;
  await run(["env", "-C", root, "sh", "-ec", command!]);
  assertEquals(await run(["find", root, "!", "-type", "d"]), "");
  assertEquals(await run(["find", `${root}/usr`, "-name", "*loden*"]), "");
});
