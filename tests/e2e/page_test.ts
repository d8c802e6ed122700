/**
 * The agent's page in a real browser. Pictures of it go to `screenshots/`.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { PageData } from "../../agent/page/page_routes.ts";
import { PREFIX, program } from "../../bench/control/measure_agent.ts";
import { encodeLeaseValue, leaseName } from "../../lease/lease_codec.ts";
import { parseIpv4 } from "../../net/ipv4.ts";
import { Chromium, type Tab } from "../rig/chromium.ts";
import { Rig } from "../rig/rig.ts";
import { MANY_LEASES_NETWORK } from "../support/many_leases.ts";
import { join, type Node, restart } from "./overlay.ts";

const PORT = 9285;
const PAGE = `http://127.0.0.1:${PORT}/`;
const WIDE = { width: 1280, height: 900 };
const TELEPHONE = { width: 320, height: 640 };
const HOSTS = 1_000;
/** Three probes that nothing answers, on a busy machine. */
const PROBED_MS = 30_000;
/** etcd is given up after two seconds, and the warning is shown after five. */
const ETCD_AWAY_MS = 30_000;

/** A host that holds a lease and does not exist. */
const GONE = {
  subnet: { address: parseIpv4("10.9.9.0")!, prefixLength: 24 },
  attributes: { publicIp: parseIpv4("192.0.2.77")!, backendType: "udp" },
};

const SCREENSHOTS = new URL("../../screenshots/", import.meta.url).pathname;

/** What a browser would run if it took a text for HTML. */
const HOSTILE = `<img src="x" onerror="document.title='owned'"><b>x</b>`;

async function photograph(tab: Tab, name: string): Promise<void> {
  await Deno.mkdir(SCREENSHOTS, { recursive: true });
  await tab.screenshot(`${SCREENSHOTS}${name}.png`);
}

/** Shows the next answers changed by `change`. */
async function withChanges(
  tab: Tab,
  node: Node,
  change: (data: PageData) => unknown,
): Promise<void> {
  const status = await node.agent.status();
  await tab.intercept("*/status", () => {
    const time = new Date().toISOString();
    const { counters } = status.backend!;
    return JSON.stringify(change({ ...status, time, counters }));
  });
}

/** Replaces every text that does not mean something to the page by a hostile one. */
function spoil(value: unknown, name = ""): unknown {
  if (Array.isArray(value)) return value.map((part) => spoil(part, name));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, spoil(part, key)]),
    );
  }
  const hasMeaning = ["severity", "time"].includes(name);
  return typeof value === "string" && !hasMeaning ? HOSTILE : value;
}

/** The name of the error that it meets. */
const ASSIGN_HTML = `(() => {
  try {
    document.querySelector("#place").innerHTML = "<b>x</b>";
  } catch (error) {
    return error.name;
  }
})()`;

/** Whether something is wider than the window. */
const OVERFLOWS =
  "document.documentElement.scrollWidth > document.documentElement.clientWidth";

Deno.test("the page in a browser", async (test) => {
  await using rig = await Rig.create({ hosts: 2 });
  await rig.startEtcd();
  await rig.publish({
    Network: MANY_LEASES_NETWORK,
    SubnetLen: 24,
    SubnetMin: "10.250.0.0",
    SubnetMax: "10.250.255.0",
  });
  const [[node, other], browser] = await Promise.all([
    Promise.all(rig.hosts.map((host) =>
      join(rig, host, {
        dataPath: "ebpf",
        flags: [`--healthz-port=${PORT}`],
      })
    )) as Promise<[Node, Node]>,
    Chromium.start(
      `${rig.directory}/chromium`,
      rig.host(0).namespace.commandPrefix,
    ),
  ]);
  await using _browser = browser;
  const tab = await browser.newTab();
  await tab.appear(WIDE);

  await test.step("it says that the host is ready, with the lease, traffic and the peer", async () => {
    await tab.go((await node.agent.statusText("--web")).trim());
    await tab.until(`document.querySelector("#health.ok") !== null`);
    const status = await node.agent.status();
    assertEquals(
      await tab.text("#verdict"),
      "This host is ready. There are no warnings.",
    );
    assertEquals(await tab.text("#link"), "live");
    assert((await tab.text("#place")).includes(status.subnet!));
    assertMatch(await tab.text("#lease-left"), /^(\d+ d )?\d+ h( \d+ min)?$/);
    await tab.until(
      `document.querySelector("#rows").innerText.includes("${
        (await other.agent.status()).subnet
      }")`,
    );
    await tab.until(
      `document.querySelector("#rows .dot.reached") !== null`,
      PROBED_MS,
    );
    await node.container.namespace.run(
      ["ping", "-q", "-c", "40", "-i", "0.05", other.container.address],
    );
    await tab.until(
      `/[1-9].*bit.s/.test(document.querySelector("#traffic .in dd").innerText)`,
    );
    await photograph(tab, "healthy");
    assertEquals(await unreadable(tab), []);
    await tab.appear({ ...WIDE, dark: true });
    await photograph(tab, "healthy-dark");
    assertEquals(tab.problems, []);
  });

  await test.step("on a telephone nothing is wider than its screen", async () => {
    for (const dark of [false, true]) {
      await tab.appear({ ...TELEPHONE, dark, reducedMotion: true });
      assertEquals(await tab.evaluate(OVERFLOWS), false);
      assertEquals(await unreadable(tab), []);
      await photograph(tab, `telephone${dark ? "-dark" : ""}`);
    }
    await tab.appear(WIDE);
  });

  await test.step("what is not reached stands out in the picture and in the table", async () => {
    await rig.etcd.ctl(
      "put",
      `${PREFIX}/subnets/${leaseName(GONE.subnet)}`,
      encodeLeaseValue(GONE.attributes),
    );
    await tab.until(
      `document.querySelector("#picture-text").innerText ===
        "This host and 2 peers: 1 reached, 1 not reached."`,
      PROBED_MS,
    );
    assertMatch(await tab.text("#rows"), /10\.9\.9\.0\/24.*not reached for/s);
    for (const state of ["reached", "silent"]) {
      assertEquals(
        await tab.evaluate(
          `document.querySelectorAll("#picture .peer.${state}").length`,
        ),
        1,
      );
    }
    await photograph(tab, "not-reached");
  });

  await test.step("values of etcd are text, whatever is in them", async () => {
    await withChanges(tab, node, (status) =>
      spoil({
        ...status,
        warnings: [{
          code: "config.refused",
          severity: "error",
          text: "",
          impairs: "",
          since: status.phaseSince,
          dependsOn: [],
          visible: true,
        }],
        backend: {
          ...status.backend!,
          details: { [HOSTILE]: HOSTILE },
        },
        counters: { "rx.bytes": 0, [`rx.drop.${HOSTILE}`]: 7 },
      }));
    await tab.until(
      `document.querySelector("#rows").textContent.includes("<img")`,
    );
    for (const part of ["#troubles", "#host", "#drop-reasons", "#place"]) {
      assert((await tab.text(part)).includes(HOSTILE), part);
    }
    assertEquals(
      await tab.evaluate(`document.querySelectorAll("img, #rows b").length`),
      0,
    );
    assertEquals(
      (await tab.evaluate("document.title")).includes("owned –"),
      false,
    );
    assertEquals(tab.problems, []);
    await tab.letThrough();
  });

  await test.step("the browser keeps to the policy: no HTML from text, no cookies, nothing stored", async () => {
    const headers: (string | null)[] = await tab.evaluate(
      `fetch("/").then(({ headers }) => [
        "content-security-policy",
        "x-content-type-options",
        "cache-control",
        "access-control-allow-origin",
        "set-cookie",
      ].map((name) => headers.get(name)))`,
    );
    const [policy, ...others] = headers;
    assertMatch(policy ?? "", /^default-src 'none'; script-src 'sha256-/);
    assertEquals(others, ["nosniff", "no-store", null, null]);
    assertEquals(await tab.evaluate(ASSIGN_HTML), "TypeError");
    assertMatch(tab.problems.join(), /TrustedHTML/);
    tab.forgetProblems();
  });

  await test.step("a thousand peers are found and ordered with the keyboard", async () => {
    await rig.switch.run(
      program("write_leases.ts", rig.etcdEndpoint, PREFIX, `${HOSTS}`),
    );
    await tab.go(PAGE);
    await tab.until(
      `document.querySelector("#shown").innerText.includes("of 1,002 peers")`,
    );
    await photograph(tab, "thousand-peers");
    await tab.press("Tab");
    assertMatch(await focused(tab), /^Skip to/);
    await tab.press("Enter");
    assertEquals(await tab.evaluate("document.activeElement.id"), "main");
    await reach(tab, "query");
    await tab.type("10.1.77.5");
    assertEquals(await tab.text("#shown"), "1 found of 1,002 peers");
    assertMatch(await tab.text("#rows"), /10\.1\.77\.0\/24/);
    await tab.evaluate(`document.querySelector("#query").select()`);
    await tab.type("198.18");
    await reach(tab, "Host");
    await tab.press("Enter");
    await tab.press(" ");
    assertEquals(
      await tab.evaluate(
        `document.querySelector("th[aria-sort=descending]").innerText`,
      ),
      "Host",
    );
    assertMatch(await tab.text("#rows"), /^10\.4\.231\.0\/24/);
    await reach(tab, "Next");
    await tab.press("Enter");
    assertEquals(
      await tab.text("#shown"),
      "26–50 of 1,000 found of 1,002 peers",
    );
    assertEquals(tab.problems, []);
  });

  await test.step("without etcd it says so in the words of loden status", async () => {
    await rig.etcd.stop();
    await tab.until(
      `document.querySelector("#troubles").innerText.includes("etcd.unavailable")`,
      ETCD_AWAY_MS,
    );
    const { warnings } = await node.agent.status();
    const { text } = warnings.find(({ code }) => code === "etcd.unavailable")!;
    assert((await tab.text("#troubles")).includes(text));
    assert((await tab.text("#announce")).includes(text));
    await photograph(tab, "etcd-away");
    assertEquals(tab.problems, []);
  });

  await test.step("when the agent is gone it says so, tries again, and shows the next one", async () => {
    await node.agent.stop();
    await tab.until(`!document.querySelector("#away").hidden`);
    assertEquals(await tab.text("#link"), "no answer");
    assertMatch(await tab.text("#away"), /No connection\..*next try is in/s);
    await photograph(tab, "agent-gone");
    await restart(rig, node);
    await tab.until(`document.querySelector("#away").hidden`, 20_000);
    assertEquals(await tab.text("#link"), "live");
  });
});

/** What a page must have for a screen reader. */
const ROLES = [
  "banner",
  "main",
  "contentinfo",
  "search",
  "navigation",
  "status",
  "table",
  "columnheader",
  "row",
  "cell",
];
/** What is used with the keyboard, or is a picture: it must have a name. */
const NAMED = ["button", "checkbox", "link", "searchbox", "image", "img"];

/** What a screen reader lacks. */
async function unreadable(tab: Tab): Promise<string[]> {
  const nodes = await tab.accessible();
  const roles = new Set(nodes.map(({ role }) => role));
  return [
    ...ROLES.filter((role) => !roles.has(role)).map((role) => `no ${role}`),
    ...nodes.filter(({ name, role }) => NAMED.includes(role) && name === "")
      .map(({ role }) => `${role} without a name`),
  ];
}

/** The text of the element that has the focus. */
function focused(tab: Tab): Promise<string> {
  return tab.evaluate("document.activeElement.innerText.trim()");
}

/** Presses Tab until an element with this id or text has the focus. */
async function reach(tab: Tab, wanted: string): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await tab.press("Tab");
    const id = await tab.evaluate("document.activeElement.id");
    if (wanted === id || wanted === await focused(tab)) return;
  }
  throw new Error(`Cannot reach ${wanted} with the Tab key`);
}
