/**
 * `loden bundle` in a world that contains every secret: an etcd with accounts and
 * client certificates, WireGuard with a key that all hosts share, tokens and a
 * proxy's password in the agent's environment and in the command's.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { after, before, describe, it } from "@std/testing/bdd";
import { loden } from "../rig/agent.ts";
import type { RigHost } from "../rig/host.ts";
import { lodenCommand } from "../rig/loden_program.ts";
import { Rig } from "../rig/rig.ts";
import { hasLinkKind } from "../support/link_kind.ts";
import { run } from "../../tools/command.ts";
import { CONFIG } from "./overlay.ts";
import { SecuredEtcd } from "./secured_etcd.ts";
import { PSK } from "./wireguard.ts";

const AGENT_TOKEN = "agent-token-91c5";
const OWN_TOKEN = "own-token-77aa";
const PROXY_PASSWORD = "proxy%2Fword-30";
const PROXY = `http://anna:${PROXY_PASSWORD}@proxy.example.net:3128`;

describe("loden bundle", () => {
  const made = new AsyncDisposableStack();
  let secured: SecuredEtcd;
  let rig: Rig;
  let host: RigHost;
  let flags: string[];
  let type: "udp" | "wireguard";

  before(async () => {
    secured = made.use(await SecuredEtcd.make());
    rig = made.use(await Rig.create());
    const { etcd: options, prepareEtcd } = secured.overlayOptions;
    const etcd = await rig.startEtcd(options);
    await prepareEtcd!(etcd);
    // Elsewhere, the secret key is still in the config, which is then refused.
    type = hasLinkKind("wireguard") ? "wireguard" : "udp";
    await rig.publish({ ...CONFIG, Backend: { Type: type, PSK } });
    host = rig.host(0);
    const agents = await Promise.all(
      rig.hosts.map((each) =>
        rig.startAgent(each, {
          flags: [...secured.flags, "-v=10"],
          wrapper: [
            "env",
            `VAULT_TOKEN=${AGENT_TOKEN}`,
            `HTTPS_PROXY=${PROXY}`,
          ],
        })
      ),
    );
    await Promise.all(agents.map((agent) => agent.ready()));
    await host.addContainer(await agents[0]!.bridge());
    const { runDirectory, stateDirectory } = agents[0]!.files;
    flags = [`--run-dir=${runDirectory}`, `--state-dir=${stateDirectory}`];
  });
  after(() => made.disposeAsync());

  /** Makes one and returns the texts of its files. */
  async function bundle(...words: string[]): Promise<Record<string, string>> {
    const directory = await Deno.makeTempDir({ dir: rig.directory });
    const output = `${directory}/b.tar.gz`;
    const { exitCode, stderr, stdout } = await loden(
      host.namespace,
      ["bundle", ...flags, `--output=${output}`, ...words],
      {
        CI_JOB_TOKEN: OWN_TOKEN,
        FLANNELD_ETCD_USERNAME: "host",
        FLANNELD_ETCD_PASSWORD: secured.password,
      },
    );
    assertEquals(exitCode, 0, stderr);
    assertMatch(stdout, /b\.tar\.gz \(\d+ kB\)\n/);
    await run([
      ...["tar", "--extract", "--gzip", "--strip-components=1"],
      `--directory=${directory}`,
      `--file=${output}`,
    ]);
    await Deno.remove(output);
    return Object.fromEntries(
      [...Deno.readDirSync(directory)].map(({ name }) =>
        [name, Deno.readTextFileSync(`${directory}/${name}`)] as const
      ),
    );
  }

  it("has everything of a running agent, and no secret", async () => {
    const texts = await bundle();
    const wanted: Readonly<Record<string, RegExp>> = {
      "README.txt": /status\.txt +what `loden status` shows/,
      "status.txt": /^state +ready/m,
      "doctor.txt": /^ok /m,
      "metrics.txt": /^# TYPE loden_/m,
      "settings.txt": /# of the running agent[^]*etcd-keyfile/,
      "log.txt": /"event":"agent\.starting"/,
      "files.txt": /FLANNEL_SUBNET=/,
      "links.txt": /192\.0\.2\.11/,
      "routes.txt": /default via 192\.0\.2\.1/,
      "neighbours.txt": /192\.0\.2\.1/,
      "programs.txt": type === "udp"
        ? /^eth0 ingress [^]*^10\.1\..* by 192\.0\.2\.12 over eth0/m
        : /# programs at devices/,
      "kernel.txt": /net\/ipv4\/ip_forward = 1/,
    };
    for (const [file, pattern] of Object.entries(wanted)) {
      assertMatch(texts[file] ?? "", pattern, file);
    }
    const key = await privateKey();
    const secrets = [
      ...await secured.secrets(),
      PSK,
      ...key === undefined ? [] : [key],
      AGENT_TOKEN,
      OWN_TOKEN,
      PROXY_PASSWORD,
      decodeURIComponent(PROXY_PASSWORD),
      "anna",
    ];
    assert(secrets.length > 10);
    for (const [file, text] of Object.entries(texts)) {
      for (const secret of secrets) {
        assert(!text.includes(secret), `${secret} is in ${file}`);
      }
    }
    assertMatch(texts["settings.txt"]!, /etcd-username +hidden/);
  });

  it("has no address and no name with --anonymize, and shows which subnet an address is in", async () => {
    const texts = await bundle("--anonymize");
    const subnet = /^network .*this host (\S+)\.0\/24$/m
      .exec(texts["status.txt"]!)![1]!;
    assert(texts["links.txt"]!.includes(`inet ${subnet}.`), subnet);
    const shown = await addressesOf(host);
    assert(shown.length > 8, shown.join());
    for (const [file, text] of Object.entries(texts)) {
      for (const address of [...shown, Deno.hostname()]) {
        const isThere = new RegExp(
          `(?<![0-9a-z.:])${RegExp.escape(address)}(?![0-9a-z:])`,
          "i",
        ).test(text);
        assert(!isThere, `${address} is in ${file}`);
      }
    }
  });

  it("says what is wrong when the disk is full, and leaves nothing", async () => {
    const script = `mount -t tmpfs -o size=4k none ${rig.directory}
      "$@" && exit 0; code=$?; ls -A ${rig.directory}; exit $code`;
    const { exitCode, stderr, stdout } = await host.namespace.attempt([
      ...["unshare", "--mount", "sh", "-c", script, "sh"],
      ...lodenCommand(),
      ...["bundle", `--output=${rig.directory}/b.tar.gz`],
    ]);
    assertEquals([exitCode, stdout], [1, ""], stderr);
    assertMatch(stderr, /loden: Cannot write .*b\.tar\.gz: No space left/);
  });

  /** Of the WireGuard device. */
  async function privateKey(): Promise<string | undefined> {
    const { stdout } = await host.namespace.attempt([
      ...["sh", "-c", `cat ${host.directory}/agent/state/*.key`],
    ]);
    return /"privateKey":"([^"]+)"/.exec(stdout)?.[1];
  }
});

/** All of a host that belong to it alone. */
async function addressesOf({ namespace }: RigHost): Promise<string[]> {
  const links = JSON.parse(
    await namespace.run(["ip", "-json", "address", "show"]),
  ) as {
    link_type: string;
    address?: string;
    addr_info: { local: string; scope: string }[];
  }[];
  const routes = JSON.parse(
    await namespace.run(["ip", "-json", "route", "show"]),
  ) as { dst: string; gateway?: string }[];
  return [
    ...links.filter(({ link_type }) => link_type === "ether")
      .map(({ address }) => address!),
    ...links.flatMap(({ addr_info }) => addr_info)
      .filter(({ scope }) => scope !== "host").map(({ local }) => local),
    ...routes.flatMap(({ dst, gateway }) => [dst, gateway ?? "default"])
      .filter((address) => address !== "default")
      .map((address) => address.split("/")[0]!),
  ];
}
