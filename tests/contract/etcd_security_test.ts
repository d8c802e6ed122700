import { assertEquals, assertStringIncludes } from "@std/assert";
import { RegistryError } from "../../lease/errors.ts";
import { EtcdLeaseRegistry } from "../../lease/etcd_registry.ts";
import { systemClock } from "../../linux/clock.ts";
import {
  type CertificateFiles,
  TestAuthority,
} from "../support/certificates.ts";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";

const never = new AbortController().signal;
const PREFIX = "/coreos.com/network";
/** Until a member that came back is found. */
const BACK_MS = 10_000;

/** A host's own copies, which are replaced while it runs. */
class HostFiles implements AsyncDisposable {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly passwordFile: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.caFile = `${directory}/ca.pem`;
    this.certFile = `${directory}/cert.pem`;
    this.keyFile = `${directory}/key.pem`;
    this.passwordFile = `${directory}/password`;
  }

  static async make(): Promise<HostFiles> {
    return new HostFiles(await Deno.makeTempDir({ prefix: "loden-host-" }));
  }

  get tls() {
    const { caFile, certFile, keyFile } = this;
    return { caFile, certFile, keyFile };
  }

  async trust({ caFile }: { caFile: string }): Promise<void> {
    await Deno.copyFile(caFile, this.caFile);
  }

  async show({ certFile, keyFile }: CertificateFiles): Promise<void> {
    await Deno.copyFile(certFile, this.certFile);
    await Deno.copyFile(keyFile, this.keyFile);
  }

  async setPassword(password: string): Promise<void> {
    await Deno.writeTextFile(this.passwordFile, `${password}\n`, {
      mode: 0o600,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** `list` of the leases: "done", or the fault. */
async function outcomeOf(registry: EtcdLeaseRegistry): Promise<string> {
  try {
    await registry.list(never);
    return "done";
  } catch (error) {
    if (error instanceof RegistryError) return error.fault;
    throw error;
  }
}

/** Lists until the outcome is this one, for at most {@linkcode BACK_MS}. */
async function untilOutcome(
  registry: EtcdLeaseRegistry,
  wanted: string,
): Promise<void> {
  const endsAt = performance.now() + BACK_MS;
  for (;;) {
    const outcome = await outcomeOf(registry);
    if (outcome === wanted) return;
    if (performance.now() > endsAt) assertEquals(outcome, wanted);
    await systemClock.sleep(50);
  }
}

async function restart(etcd: EtcdServer): Promise<void> {
  await etcd.kill();
  await etcd.start();
}

/** Adds a user; one with a password logs in, one without shows a certificate. */
async function addUser(
  etcd: EtcdServer,
  name: string,
  password?: string,
): Promise<void> {
  if (password === undefined) {
    await etcd.ctl("user", "add", name, "--no-password");
  } else {
    await etcd.ctl("user", "add", `${name}:${password}`);
  }
}

/** Lets a user read and write below the prefix, and nothing else. */
async function allowPrefix(etcd: EtcdServer, user: string): Promise<void> {
  await etcd.ctl("role", "add", "network");
  await etcd.ctl(
    ...["role", "grant-permission", "network", "readwrite"],
    ...["--prefix=true", `${PREFIX}/`],
  );
  await etcd.ctl("user", "grant-role", user, "network");
}

/** Switches access control on; from now on `etcdctl` is root. */
async function enableAuth(etcd: EtcdServer): Promise<void> {
  await addUser(etcd, "root", "the root password");
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("auth", "enable");
  etcd.user = "root:the root password";
}

Deno.test("etcd security: a client certificate that was replaced is shown by the next connection", async () => {
  await using authority = await TestAuthority.make();
  await using files = await HostFiles.make();
  const client = await authority.issue("operator", "DNS:operator");
  await using etcd = await startEtcd({
    tls: {
      ...await authority.issue("server", "IP:127.0.0.1"),
      clientCaFile: authority.caFile,
      client,
    },
  });
  // Without a password, etcd takes the certificate's common name for the user.
  await addUser(etcd, "before");
  await addUser(etcd, "after");
  await allowPrefix(etcd, "after");
  await enableAuth(etcd);
  await files.trust(authority);
  await files.show(await authority.issue("before", "DNS:before"));
  using registry = open(etcd, { tls: files.tls });
  assertEquals(await outcomeOf(registry), "permission");
  await files.show(await authority.issue("after", "DNS:after"));
  await restart(etcd);
  await untilOutcome(registry, "done");
});

Deno.test("etcd security: a host whose certificate is refused looks at its files at the very next call", async () => {
  await using old = await TestAuthority.make();
  await using authority = await TestAuthority.make();
  await using files = await HostFiles.make();
  const server = await authority.issue("server", "IP:127.0.0.1");
  const client = await authority.issue("host", "DNS:host");
  await using etcd = await startEtcd({
    tls: { ...server, clientCaFile: authority.caFile, client },
  });
  await files.trust(authority);
  await files.show(await old.issue("host", "DNS:host"));
  using registry = open(etcd, { tls: files.tls });
  assertEquals(await outcomeOf(registry), "tls");
  await files.show(client);
  assertEquals(await outcomeOf(registry), "done");
});

Deno.test("etcd security: an authority that was replaced is the one that counts at the very next call", async () => {
  await using old = await TestAuthority.make();
  await using authority = await TestAuthority.make();
  await using files = await HostFiles.make();
  await using etcd = await startEtcd({
    tls: await authority.issue("server", "IP:127.0.0.1"),
  });
  await files.trust(old);
  using registry = open(etcd, { tls: { caFile: files.caFile } });
  assertEquals(await outcomeOf(registry), "tls");
  await files.trust(authority);
  assertEquals(await outcomeOf(registry), "done");
});

Deno.test("etcd security: invalid files at a reconnect are named, and read again", async () => {
  await using authority = await TestAuthority.make();
  await using files = await HostFiles.make();
  const client = await authority.issue("host", "DNS:host");
  const other = await authority.issue("other", "DNS:other");
  await using etcd = await startEtcd({
    tls: {
      ...await authority.issue("server", "IP:127.0.0.1"),
      clientCaFile: authority.caFile,
      client,
    },
  });
  await files.trust(authority);
  await files.show(client);
  using registry = open(etcd, { tls: files.tls });
  assertEquals(await outcomeOf(registry), "done");
  // As between the two steps of a renewal: the key is not the certificate's.
  await files.show({ certFile: client.certFile, keyFile: other.keyFile });
  await restart(etcd);
  await untilOutcome(registry, "tls");
  await Deno.writeTextFile(files.keyFile, "");
  const error = await registry.list(never).catch((error) => error);
  assertStringIncludes(error.message, `${files.keyFile}: it must hold a PEM`);
  await files.show(other);
  assertEquals(await outcomeOf(registry), "done");
});

Deno.test("etcd security: an expired certificate of the server is refused until it is replaced", async () => {
  await using authority = await TestAuthority.make();
  const expired = await authority.issue(
    "server",
    "IP:127.0.0.1",
    "20200201000000Z",
  );
  await using etcd = await startEtcd({ tls: expired });
  using registry = open(etcd, { tls: { caFile: authority.caFile } });
  const error = await registry.list(never).catch((error) => error);
  assertEquals(error.fault, "tls");
  assertStringIncludes(error.message, "expired");
  // The same paths: etcd reads them at each handshake.
  await authority.issue("server", "IP:127.0.0.1");
  assertEquals(await outcomeOf(registry), "done");
});

Deno.test("etcd security: a password that was changed is read from its file at the next login", async () => {
  await using files = await HostFiles.make();
  await using etcd = await startEtcd();
  await addUser(etcd, "host", "first");
  await allowPrefix(etcd, "host");
  await enableAuth(etcd);
  await files.setPassword("first");
  using registry = open(etcd, {
    username: "host",
    passwordFile: files.passwordFile,
  });
  assertEquals(await outcomeOf(registry), "done");
  await etcd.ctlWith("second", "user", "passwd", "host", "--interactive=false");
  // etcd forgets the tokens of who has a new password.
  assertEquals(await outcomeOf(registry), "auth");
  await files.setPassword("second");
  assertEquals(await outcomeOf(registry), "done");
});

Deno.test("etcd security: a password file that others may read is refused", async () => {
  await using files = await HostFiles.make();
  await using etcd = await startEtcd();
  await addUser(etcd, "host", "first");
  await allowPrefix(etcd, "host");
  await enableAuth(etcd);
  await files.setPassword("first");
  await Deno.chmod(files.passwordFile, 0o644);
  using registry = open(etcd, {
    username: "host",
    passwordFile: files.passwordFile,
  });
  const error = await registry.list(never).catch((error) => error);
  assertEquals(error.fault, "auth");
  assertStringIncludes(error.message, "chmod 600");
  await Deno.chmod(files.passwordFile, 0o600);
  assertEquals(await outcomeOf(registry), "done");
});

/** A registry that is closed at the end of its block. */
function open(
  etcd: EtcdServer,
  options: Partial<ConstructorParameters<typeof EtcdLeaseRegistry>[0]>,
): EtcdLeaseRegistry & Disposable {
  const registry = new EtcdLeaseRegistry({
    endpoints: [etcd.endpoint],
    prefix: PREFIX,
    deadlineMs: 3_000,
    ...options,
  });
  return Object.assign(registry, {
    [Symbol.dispose]: () => registry.close(),
  });
}
