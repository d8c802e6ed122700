/**
 * What an installation consists of, and where its files lie. The tarball and
 * the Debian package are made from this one list.
 *
 * @module
 */

/** Where a file's bytes come from. */
export type Source =
  /** A file of the source tree, by its path from the root. */
  | { readonly file: string }
  /** The binary. */
  | { readonly binary: true }
  | { readonly text: string }
  /** A symbolic link to this. */
  | { readonly link: string };

/** One file. */
export interface LayoutEntry {
  /** From the root of the file system, without a slash in front. */
  readonly path: string;
  readonly source: Source;
}

/** What is rendered for the occasion. */
export interface RenderedFiles {
  readonly manPage: string;
  readonly sbom: string;
  /** Of what is embedded. */
  readonly licences: string;
  readonly completions: Readonly<Record<"bash" | "fish" | "zsh", string>>;
  /** Paths of the files below `docs/`. */
  readonly documents: readonly string[];
}

const UNITS = "usr/lib/systemd/system";

/** For Prometheus and Grafana, below `packaging/`. */
const MONITORING = [
  "prometheus/prometheus.yml",
  "prometheus/loden.rules.yml",
  "grafana/dashboards/loden.json",
  "grafana/provisioning/dashboards/loden.yaml",
  "grafana/provisioning/datasources/loden.yaml",
];

/** Where the documents lie. */
export const DOC = "usr/share/doc/loden";

/** The whole list. */
export function layout(rendered: RenderedFiles): LayoutEntry[] {
  const { completions, documents, licences, manPage, sbom } = rendered;
  const packaging = (path: string, file: string): LayoutEntry => ({
    path,
    source: { file: `packaging/${file}` },
  });
  const text = (path: string, text: string): LayoutEntry => ({
    path,
    source: { text },
  });
  return [
    { path: "usr/bin/loden", source: { binary: true } },
    { path: "usr/bin/flanneld", source: { link: "loden" } },
    packaging(`${UNITS}/loden.service`, "systemd/loden.service"),
    packaging(
      `${UNITS}/loden-cleanup.service`,
      "systemd/loden-cleanup.service",
    ),
    packaging(
      `${UNITS}/docker.service.d/50-loden.conf`,
      "systemd/docker.service.d/50-loden.conf",
    ),
    packaging(
      "usr/lib/systemd/network/05-loden.network",
      "systemd/05-loden.network",
    ),
    text("usr/share/bash-completion/completions/loden", completions.bash),
    text("usr/share/zsh/vendor-completions/_loden", completions.zsh),
    text(
      "usr/share/fish/vendor_completions.d/loden.fish",
      completions.fish,
    ),
    text("usr/share/man/man8/loden.8", manPage),
    text("usr/share/man/man8/flanneld.8", ".so man8/loden.8\n"),
    packaging(
      `${DOC}/examples/50-network-config.conf`,
      "examples/50-network-config.conf",
    ),
    packaging(
      `${DOC}/examples/60-no-kernel-programs.conf`,
      "examples/60-no-kernel-programs.conf",
    ),
    ...MONITORING.map((file) => packaging(`usr/share/loden/${file}`, file)),
    { path: `${DOC}/LICENSE`, source: { file: "LICENSE" } },
    { path: `${DOC}/README.md`, source: { file: "README.md" } },
    ...["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map((
      file,
    ): LayoutEntry => ({ path: `${DOC}/${file}`, source: { file } })),
    ...documents.map((name): LayoutEntry => ({
      path: `${DOC}/docs/${name}`,
      source: { file: `docs/${name}` },
    })),
    text(`${DOC}/licences-of-embedded-packages.txt`, licences),
    text(`${DOC}/loden.cdx.json`, sbom),
  ];
}
