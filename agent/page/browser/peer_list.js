// The table of the peers: searched, ordered, a page at a time.

import { byId, element, setAttribute, setText } from "./dom.js";
import { cellsOf, hasTrouble, matches, ordered, reachOf } from "./peers.js";
import { count, counted } from "./text.js";

const PAGE_ROWS = 25;
const COLUMNS = [
  ["subnet", "Subnet"],
  ["host", "Host"],
  ["reach", "Reached"],
  ["since", "Since"],
  ["path", "Path"],
  ["confirmed", "Confirmed"],
];

export class PeerList {
  #peers = [];
  #nowMs = 0;
  #column = "subnet";
  #descending = false;
  #first = 0;

  constructor() {
    for (const [column, title] of COLUMNS) {
      const button = element("button", { type: "button" }, title);
      button.addEventListener("click", () => this.#orderBy(column));
      byId("columns").append(
        element(
          "th",
          { role: "columnheader", scope: "col", "data-column": column },
          button,
        ),
      );
    }
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
    });
    for (const id of ["query", "only-trouble"]) {
      byId(id).addEventListener("input", () => this.#go(0));
    }
    byId("previous").addEventListener(
      "click",
      () => this.#go(this.#first - PAGE_ROWS),
    );
    byId("next").addEventListener(
      "click",
      () => this.#go(this.#first + PAGE_ROWS),
    );
  }

  show(peers, nowMs) {
    this.#peers = peers;
    this.#nowMs = nowMs;
    this.#draw();
  }

  /** Looks for this and nothing else. */
  find(text) {
    byId("query").value = text;
    byId("only-trouble").checked = false;
    this.#go(0);
  }

  #go(first) {
    this.#first = first;
    this.#draw();
  }

  #orderBy(column) {
    this.#descending = this.#column === column && !this.#descending;
    this.#column = column;
    this.#go(0);
  }

  #draw() {
    const query = byId("query").value;
    const onlyTrouble = byId("only-trouble").checked;
    const found = this.#peers.filter((peer) =>
      (!onlyTrouble || hasTrouble(peer)) && matches(peer, query, this.#nowMs)
    );
    const last = Math.floor(Math.max(0, found.length - 1) / PAGE_ROWS);
    this.#first = Math.max(0, Math.min(this.#first, last * PAGE_ROWS));
    const page = ordered(found, this.#column, this.#descending)
      .slice(this.#first, this.#first + PAGE_ROWS);
    this.#drawRows(page);
    for (const head of byId("columns").children) {
      if (head.dataset.column === this.#column) {
        const order = this.#descending ? "descending" : "ascending";
        setAttribute(head, "aria-sort", order);
      } else head.removeAttribute("aria-sort");
    }
    byId("previous").disabled = this.#first === 0;
    byId("next").disabled = this.#first + PAGE_ROWS >= found.length;
    byId("previous").hidden = byId("next").hidden = found.length <= PAGE_ROWS;
    setText(byId("shown"), this.#describe(found.length, page.length));
  }

  #describe(found, shown) {
    const all = this.#peers.length;
    if (all === 0) return "no other hosts yet";
    if (found === 0) return `none of ${counted(all, "peer")}`;
    const range = found > shown
      ? `${count(this.#first + 1)}–${count(this.#first + shown)} of `
      : "";
    return found === all
      ? `${range}${counted(all, "peer")}`
      : `${range}${count(found)} found of ${counted(all, "peer")}`;
  }

  #drawRows(peers) {
    const body = byId("rows");
    while (body.children.length > peers.length) body.lastElementChild.remove();
    peers.forEach((peer, index) => {
      const row = body.children[index] ?? body.appendChild(emptyRow());
      const cells = cellsOf(peer, this.#nowMs);
      COLUMNS.forEach(([column], at) => {
        setText(row.children[at].lastElementChild, cells[column]);
      });
      const dot = row.querySelector(".dot");
      setAttribute(dot, "class", `dot ${reachOf(peer)}`);
      setAttribute(row, "class", peer.stale ? "stale" : "");
    });
  }
}

function emptyRow() {
  return element(
    "tr",
    { role: "row" },
    ...COLUMNS.map(([column, title]) =>
      element(
        "td",
        {
          role: "cell",
          "data-column": title,
          class: ["subnet", "host"].includes(column) ? "address" : "",
        },
        ...column === "reach" ? [element("i", { class: "dot unknown" })] : [],
        element("span"),
      )
    ),
  );
}
