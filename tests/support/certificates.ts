/**
 * Certificates for tests, made by openssl.
 *
 * @module
 */

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate authority of its own in a temporary directory. */
export class TestAuthority implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async make(): Promise<TestAuthority> {
    const authority = new TestAuthority(
      await Deno.makeTempDir({ prefix: "loden-ca-" }),
    );
    await openssl([
      ...["req", "-x509", ...NEW_KEY, "-subj", "/CN=test authority"],
      ...["-days", "2", "-keyout", authority.#path("ca.key")],
      ...["-out", authority.caFile],
    ]);
    return authority;
  }

  /** The authority's own certificate. */
  get caFile(): string {
    return this.#path("ca.crt");
  }

  /**
   * A certificate for `name`, valid for `subjectAltName` (`IP:127.0.0.1`).
   *
   * @param notAfter `YYYYMMDDHHMMSSZ`; two days from now by default.
   */
  async issue(
    name: string,
    subjectAltName: string,
    notAfter?: string,
  ): Promise<CertificateFiles> {
    const [keyFile, request, certFile, extensions] = [
      "key",
      "csr",
      "crt",
      "ext",
    ]
      .map((suffix) => this.#path(`${name}.${suffix}`)) as [
        string,
        string,
        string,
        string,
      ];
    await openssl([
      ...["req", ...NEW_KEY, "-subj", `/CN=${name}`],
      ...["-keyout", keyFile, "-out", request],
    ]);
    await Deno.writeTextFile(extensions, `subjectAltName=${subjectAltName}\n`);
    await openssl([
      ...["x509", "-req", "-in", request, "-out", certFile],
      ...["-CA", this.caFile, "-CAkey", this.#path("ca.key")],
      ...["-CAcreateserial", "-extfile", extensions],
      ...(notAfter === undefined
        ? ["-days", "2"]
        : ["-not_before", "20200101000000Z", "-not_after", notAfter]),
    ]);
    return { certFile, keyFile };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

const NEW_KEY = [
  ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
];

async function openssl(args: readonly string[]): Promise<void> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("openssl", { args: [...args] }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      "Cannot make certificates: openssl must be installed (Debian package: openssl)",
      { cause: error },
    );
  }
  if (!output.success) {
    throw new Error(
      `openssl ${args[0]} failed: ${new TextDecoder().decode(output.stderr)}`,
    );
  }
}
