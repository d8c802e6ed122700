// Ties the parts together: one status comes in, all parts show it.

import { Chart } from "./chart.js";
import { byId, setRows, setText } from "./dom.js";
import { Health } from "./health.js";
import { showHost, showLease } from "./host.js";
import { PeerList } from "./peer_list.js";
import { peersOf } from "./peers.js";
import { Picture } from "./picture.js";
import { DROP, dropsOf, Rates } from "./rates.js";
import { followStatus } from "./source.js";
import { bitRate, count, packetRate } from "./text.js";

const rates = new Rates();
const health = new Health();
const list = new PeerList();
const picture = new Picture(byId("picture"), byId("picture-text"), (subnet) => {
  list.find(subnet);
});
const traffic = new Chart(byId("traffic"), {
  title: "Traffic with other hosts, the last five minutes",
  lines: [
    { name: "received", kind: "in", value: (rate) => rate["rx.bytes"] * 8 },
    { name: "sent", kind: "out", value: (rate) => rate["tx.bytes"] * 8 },
  ],
  least: 1_000,
  format: bitRate,
});
const drops = new Chart(byId("drops"), {
  title: "Dropped packets, the last five minutes",
  lines: [{ name: "dropped", kind: "drop", value: dropRate }],
  least: 1,
  format: packetRate,
});

/** The last status, and how far the agent's clock is ahead of this one. */
let last;
let aheadMs = 0;
/** While the agent does not answer. */
let failure;

function dropRate(rate) {
  return Object.entries(rate)
    .reduce((sum, [name, value]) => DROP.test(name) ? sum + value : sum, 0);
}

const agentNow = () => Date.now() + aheadMs;

function showStatus(status) {
  const atMs = Date.parse(status.time);
  aheadMs = atMs - Date.now();
  last = status;
  failure = undefined;
  const { counters } = status;
  rates.add({
    atMs,
    source: `${status.pid} ${status.backend?.type} ${status.backendRestarts}`,
    counters,
  });
  const nowMs = agentNow();
  showPlace(status);
  health.show(status, nowMs);
  showLease(status, nowMs);
  showTraffic(status, counters);
  const peers = peersOf(status);
  list.show(peers, nowMs);
  picture.draw(peers, nowMs);
  showHost(status, nowMs);
  byId("facts").hidden = false;
  showLink();
}

function showPlace({ network, subnet, underlay }) {
  const parts = [
    subnet ?? "no subnet yet",
    ...underlay === null ? [] : [`on ${underlay.publicIp}`],
    ...network === null ? [] : [`in ${network}`],
  ];
  setText(byId("place"), parts.join(" "));
  const title = `${subnet ?? "no subnet"} – Loden`;
  if (document.title !== title) document.title = title;
}

function showTraffic({ backend }, counters) {
  const counts = "rx.bytes" in counters;
  byId("traffic").hidden = byId("dropped").hidden = !counts;
  byId("not-counted").hidden = counts;
  setText(
    byId("not-counted"),
    backend === null
      ? "The data path does not run in the agent."
      : `Nothing counts the packets of the ${backend.type} backend.`,
  );
  traffic.draw(rates.points);
  drops.draw(rates.points);
  showReasons(counters);
}

function showReasons(counters) {
  const { reasons, total } = dropsOf(counters);
  setText(
    byId("drops-total"),
    total === 0
      ? "No packet has been dropped."
      : `${count(total)} since the data path began to count:`,
  );
  setRows(
    byId("drop-reasons"),
    reasons.map(([name, value]) => {
      const rate = rates.now(name) ?? 0;
      return [
        name,
        rate === 0 ? count(value) : `${count(value)}, ${packetRate(rate)}`,
      ];
    }),
  );
}

function showLink() {
  const isAway = failure !== undefined;
  document.body.classList.toggle("away", isAway);
  byId("link").className = isAway ? "lost" : last === undefined ? "" : "live";
  setText(
    byId("link-text"),
    isAway ? "no answer" : last === undefined ? "connecting" : "live",
  );
  byId("away").hidden = !isAway;
  if (!isAway) return;
  setText(
    byId("away-text"),
    `${capital(failure.reason)}. ` +
      (last === undefined
        ? "Run loden status on the host."
        : "Below is what it said last; packets may still flow. Run loden " +
          "status on the host."),
  );
  const seconds = Math.ceil((failure.retryAtMs - performance.now()) / 1_000);
  setText(
    byId("away-next"),
    seconds > 0 ? `The next try is in ${seconds} s.` : "Trying …",
  );
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

const askNow = followStatus(showStatus, (news) => {
  failure = news;
  health.forget();
  setText(byId("announce"), `The agent does not answer: ${news.reason}.`);
  showLink();
});
byId("retry").addEventListener("click", askNow);
setInterval(() => {
  if (failure === undefined) return;
  showLink();
  if (last !== undefined) showLease(last, agentNow());
}, 1_000);
