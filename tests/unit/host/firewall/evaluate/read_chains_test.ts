import { assertEquals } from "@std/assert";
import { readHostChains } from "../../../../../host/firewall/evaluate/read_chains.ts";
import {
  FakeCommandRunner,
  type FakeProgram,
} from "../../../../fakes/fake_command_runner.ts";
import { DOCKER28, NFTABLES } from "../../../../support/rule_sets/rule_sets.ts";

const { signal } = new AbortController();

/** Names of the tables whose chains are found, and what could not be read. */
async function read(
  programs: Record<string, FakeProgram>,
  legacyTables: () => string = () => "",
) {
  const { chains, unread } = await readHostChains(
    new FakeCommandRunner(programs),
    signal,
    legacyTables,
  );
  return {
    tables: [...new Set(chains.map(({ table }) => table.name))].sort(),
    unread,
  };
}

const says = (stdout: string): FakeProgram => () => ({ stdout });
const MODERN = says("iptables v1.8.11 (nf_tables)");
const NFT_TABLES = [
  "nft inet fw",
  "nft ip docker-bridges",
  "nft ip loden-anti-spoofing",
];

Deno.test("tables of iptables on nf_tables are read once, from iptables-save", async () => {
  const both = NFTABLES.replaceAll("docker-bridges", "filter");
  const { tables, unread } = await read({
    "iptables": MODERN,
    "iptables-save": says(DOCKER28),
    "nft": says(both),
  });
  assertEquals(tables, [
    "iptables filter",
    "iptables nat",
    "iptables raw",
    "nft inet fw",
    "nft ip loden-anti-spoofing",
  ]);
  assertEquals(unread, []);
});

Deno.test("a table that iptables-save cannot print is read from nft", async () => {
  const { tables } = await read({
    "iptables": MODERN,
    "iptables-save": says(
      "# Table `filter' is incompatible, use 'nft' tool.\n",
    ),
    "nft": says(NFTABLES.replaceAll("docker-bridges", "filter")),
  });
  assertEquals(tables.includes("nft ip filter"), true);
});

Deno.test("tables of the old iptables are read beside those of the new one", async () => {
  const { tables } = await read({
    "iptables": MODERN,
    "iptables-save": says(""),
    "nft": says(NFTABLES),
    "iptables-legacy-save": says("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"),
  }, () => "filter\n");
  assertEquals(tables, ["iptables-legacy filter", ...NFT_TABLES]);
});

Deno.test("tables of the old iptables without its program are said to be unread", async () => {
  const { unread } = await read({
    "iptables": MODERN,
    "iptables-save": says(""),
    "nft": says(NFTABLES),
  }, () => "filter\n");
  assertEquals(unread.length, 1);
});

Deno.test("without root the rules are said to be unread", async () => {
  const refused: FakeProgram = () => ({
    code: 4,
    stderr: "Permission denied (you must be root)",
  });
  const { tables, unread } = await read({
    "iptables": MODERN,
    "iptables-save": refused,
    "nft": refused,
  });
  assertEquals(tables, []);
  assertEquals(unread.length, 2);
});

Deno.test("a host without any firewall tool has rules that cannot be read", async () => {
  assertEquals((await read({})).unread.length, 1);
});

Deno.test("a host with nftables alone is read whole", async () => {
  const { tables, unread } = await read({ "nft": says(NFTABLES) });
  assertEquals([tables, unread], [NFT_TABLES, []]);
});
