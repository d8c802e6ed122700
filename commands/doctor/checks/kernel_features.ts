/**
 * The kernel's features: each tried, with what it gives.
 *
 * @module
 */

import {
  type Feature,
  FEATURE_MODULES,
  FEATURES,
  type FeatureTrial,
} from "../../../backend/feature_trials.ts";
import { TrialFailedError } from "../../../backend/run_feature_trials.ts";
import { moduleHint } from "../../../linux/kernel_module.ts";
import type { Check, DoctorHost } from "../check.ts";
import type { FindingCode } from "../finding_codes.ts";
import { type Finding, findingOn, type Severity } from "../finding.ts";

/** What a feature gives, and what is used without it. */
interface FeatureUse {
  readonly code: FindingCode;
  readonly name: string;
  readonly gives: string;
  readonly without: string;
}

const USES: Readonly<Record<Feature, FeatureUse>> = {
  tun: {
    code: "kernel.tun",
    name: "TUN",
    gives: "the udp backend in user space",
    without: "the udp backend needs its programs in the kernel",
  },
  veth: {
    code: "kernel.veth",
    name: "veth",
    gives: "the device of the kernel data path",
    without: "the udp backend works in user space, slower",
  },
  bpf: {
    code: "kernel.bpf",
    name: "bpf",
    gives: "the kernel data path",
    without: "the udp backend works in user space, slower",
  },
  tcx: {
    code: "kernel.tcx",
    name: "tcx",
    gives: "the newer hook for programs",
    without: "clsact is used",
  },
  clsact: {
    code: "kernel.clsact",
    name: "clsact",
    gives: "the hook for programs where there is no tcx",
    without: "tcx is used",
  },
  xdp: {
    code: "kernel.xdp",
    name: "XDP",
    gives: "the fastest receive mode on a veth underlay",
    without: "receive mode gro is used",
  },
  vxlan: {
    code: "kernel.vxlan",
    name: "vxlan",
    gives: "the vxlan backend",
    without: "no vxlan backend",
  },
  ipip: {
    code: "kernel.ipip",
    name: "ipip",
    gives: "the ipip backend",
    without: "no ipip backend",
  },
  wireguard: {
    code: "kernel.wireguard",
    name: "wireguard",
    gives: "the wireguard backend",
    without: "no wireguard backend",
  },
};

/** How a feature is. */
type FeatureState =
  | {
    readonly kind: "works";
    readonly detail: string;
    readonly parts?: FeatureTrial["parts"];
  }
  | { readonly kind: "loadable" | "untried" }
  | {
    readonly kind: "missing";
    readonly reason: string;
    readonly fix?: string;
  };

type FeatureStates = ReadonlyMap<Feature, FeatureState>;

/** See the module. */
export const kernelFeaturesCheck: Check = {
  name: "kernel features",
  run: async (host, signal) => {
    const release: Finding = findingOn("kernel.release", "kernel").ok(
      `Linux ${host.kernelRelease}, ${Deno.build.arch}`,
    );
    if (!host.isRoot) return [release, nfTables(host)];
    const [states, { config }] = await Promise.all([
      statesOf(host, signal),
      host.network(signal),
    ]);
    if (states instanceof TrialFailedError) {
      return [
        release,
        nfTables(host),
        findingOn("kernel.features", "features").note(states.message),
      ];
    }
    const wanted = {
      backend: config?.backend.type,
      dataPath: host.settings.dataPath,
    };
    return [
      release,
      ...FEATURES.map((feature) => describe(feature, states, wanted)),
      ...lackingParts(states.get("bpf")),
      nfTables(host),
    ];
  },
};

/** To try a feature whose module is not loaded would load it. */
async function statesOf(
  host: DoctorHost,
  signal: AbortSignal,
): Promise<FeatureStates | TrialFailedError> {
  const states = new Map<Feature, FeatureState>();
  const toTry: Feature[] = [];
  for (const feature of FEATURES) {
    const state = beforeTrial(host, FEATURE_MODULES[feature]);
    if (state === undefined) toTry.push(feature);
    else states.set(feature, state);
  }
  try {
    const trials = await host.tryFeatures(toTry, signal);
    for (const trial of trials) states.set(trial.feature, afterTrial(trial));
    return states;
  } catch (error) {
    // As in a container, where even root may make no namespace.
    if (error instanceof TrialFailedError) return error;
    throw error;
  }
}

/** `undefined`: it can be tried. */
function beforeTrial(
  { canLoadModules, moduleState }: DoctorHost,
  modules: readonly string[],
): FeatureState | undefined {
  if (!canLoadModules) return undefined;
  const states = modules.map((name) => moduleState(name));
  const absent = modules.find((_, index) => states[index] === "absent");
  if (absent !== undefined) {
    return { kind: "missing", reason: `the kernel has no module ${absent}` };
  }
  if (states.includes("loadable")) return { kind: "loadable" };
  return states.includes(undefined) ? { kind: "untried" } : undefined;
}

function afterTrial({ detail, fix, parts, works }: FeatureTrial): FeatureState {
  return works
    ? { kind: "works", detail, ...parts === undefined ? {} : { parts } }
    : { kind: "missing", reason: detail, ...fix === undefined ? {} : { fix } };
}

/** What the network is to use. */
interface Wanted {
  /** `undefined`: not known yet; udp is the default. */
  readonly backend: string | undefined;
  readonly dataPath: string;
}

function describe(
  feature: Feature,
  states: FeatureStates,
  wanted: Wanted,
): Finding {
  const { code, gives, name, without } = USES[feature];
  const fact = findingOn(code, name);
  const state = states.get(feature) ?? { kind: "untried" };
  switch (state.kind) {
    case "works": {
      const present = state.parts
        ?.filter(({ problem }) => problem === undefined)
        .map(({ name }) => name).join(", ");
      const detail = present !== undefined
        ? ` (${present})`
        : state.detail === ""
        ? ""
        : ` ${state.detail}`;
      return fact.ok(`works${detail}: gives ${gives}`);
    }
    case "loadable":
      return fact.ok(
        feature === "xdp"
          ? "not tried, because that would load veth"
          : `a module that loads itself when it is needed: gives ${gives}`,
      );
    case "untried":
      return fact.note(
        "not tried, because that could load a module: where the " +
          "kernel's modules are listed cannot be seen here",
      );
    case "missing": {
      const severity = severityOf(feature, states, wanted);
      return fact[severity](
        `missing: ${state.reason}; without it ${without}`,
        severity === "note" ? undefined : fixOf(feature, state.fix),
      );
    }
  }
}

/** Hooks are listed by themselves. */
const OTHERWISE_LISTED = ["tcx", "XDP with metadata"];

/** What the kernel data path does without. */
function lackingParts(state: FeatureState | undefined): Finding[] {
  const parts = state?.kind === "works" ? state.parts ?? [] : [];
  return parts.filter(({ name, problem }) =>
    problem !== undefined && !OTHERWISE_LISTED.includes(name)
  ).map(({ name, since, without }) =>
    findingOn("kernel.bpf", "bpf").note(
      `no ${name} (Linux ${since} has it): ${without}`,
    )
  );
}

/** A missing feature matters if what the network uses needs it. */
function severityOf(
  feature: Feature,
  states: FeatureStates,
  { backend = "udp", dataPath }: Wanted,
): Severity {
  if (feature === backend) return "problem";
  if (backend !== "udp") return "note";
  const has = (...features: Feature[]) =>
    features.every((each) => states.get(each)?.kind !== "missing");
  const kernelPath = has("veth", "bpf") && (has("tcx") || has("clsact"));
  const isOfKernelPath = ["veth", "bpf", "tcx", "clsact"].includes(feature);
  if (feature === "tun") {
    const isNeeded = dataPath === "tun" ||
      (dataPath === "auto" && !kernelPath);
    return isNeeded ? "problem" : "note";
  }
  if (!isOfKernelPath || kernelPath || dataPath === "tun") return "note";
  return dataPath === "ebpf" || !has("tun") ? "problem" : "warning";
}

function fixOf(feature: Feature, known?: string): string | undefined {
  const module = FEATURE_MODULES[feature].at(-1);
  return known ?? (module && moduleHint(module));
}

function nfTables({ canLoadModules, moduleState }: DoctorHost): Finding {
  const fact = findingOn("kernel.nf-tables", "nf_tables");
  const gives = "nft, and iptables on nf_tables";
  const state = moduleState("nf_tables");
  switch (state) {
    case "present":
      return fact.ok(`is there: gives ${gives}`);
    case "loadable":
      return fact.ok(
        `a module that loads itself when it is needed: gives ${gives}`,
      );
    case "absent":
      return fact.note("missing: only iptables-legacy works");
    case undefined:
      return fact[canLoadModules ? "note" : "ok"](
        "not checked separately: see firewall",
      );
  }
}
