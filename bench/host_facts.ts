/**
 * The machine that was measured on.
 *
 * @module
 */

/** What figures depend on. */
export interface HostFacts {
  readonly cpuModel: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly architecture: string;
  readonly congestionControl: string;
  readonly deno: string;
}

/** Reads it. */
export function hostFacts(): HostFacts {
  const model = /^model name\s*:\s*(.*)$/m.exec(
    Deno.readTextFileSync("/proc/cpuinfo"),
  );
  return {
    // arm64 has no such line.
    cpuModel: model?.[1] ?? "unknown",
    cpus: navigator.hardwareConcurrency,
    memoryMb: Math.round(Deno.systemMemoryInfo().total / 1e6),
    kernel: Deno.osRelease(),
    architecture: Deno.build.arch,
    congestionControl: Deno.readTextFileSync(
      "/proc/sys/net/ipv4/tcp_congestion_control",
    ).trim(),
    deno: Deno.version.deno,
  };
}
