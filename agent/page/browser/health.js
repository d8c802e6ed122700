// What is wrong and what to do, in the words of `loden status`.

import { byId, element, setAttribute, setText } from "./dom.js";
import { age, counted } from "./text.js";

/** Whether people are shown the warning: not a consequence, and not too young. */
function isShown({ dependsOn = [], visible = true }) {
  return visible && dependsOn.length === 0;
}

/** The warnings that are shown, the worst first, and what the agent waits for. */
export function healthOf({ ready, waitingFor, warnings }) {
  const shown = warnings.filter(isShown);
  const isSaid = shown.some(({ text }) => waitingFor?.includes(text));
  const waiting = ready || waitingFor === null || isSaid
    ? undefined
    : waitingFor;
  const severity = !ready || shown.some(({ severity }) => severity === "error")
    ? "error"
    : shown.length > 0
    ? "warning"
    : "ok";
  const state = ready ? "This host is ready" : "This host is not ready";
  const verdict = shown.length > 0
    ? `${state}, with ${counted(shown.length, "warning")}.`
    : waiting !== undefined
    ? `${state}. It waits: ${waiting}`
    : ready
    ? `${state}. There are no warnings.`
    : `${state}.`;
  return { severity, shown, verdict, waiting };
}

export class Health {
  #announced = "";

  show(status, nowMs) {
    const { severity, shown, verdict, waiting } = healthOf(status);
    setAttribute(byId("health"), "class", `panel ${severity}`);
    setText(byId("verdict"), verdict);
    const items = [
      ...waiting !== undefined && shown.length > 0
        ? [{ severity: "error", text: `not ready: waiting: ${waiting}` }]
        : [],
      ...shown,
    ];
    const list = byId("troubles");
    list.hidden = items.length === 0;
    while (list.children.length > items.length) list.lastElementChild.remove();
    items.forEach((item, index) => {
      const entry = list.children[index] ?? list.appendChild(emptyItem());
      setAttribute(entry, "class", item.severity);
      const [text, about] = entry.children;
      setText(text.firstElementChild, item.severity);
      setText(text.lastElementChild, item.text);
      setText(about, describe(item, status, nowMs));
    });
    this.#announce([verdict, ...items.map(({ text }) => text)].join(" "));
  }

  /** What is said next is new, also if it was said before. */
  forget() {
    this.#announced = "";
  }

  /** For screen readers, and only what is new. */
  #announce(text) {
    if (text === this.#announced) return;
    this.#announced = text;
    setText(byId("announce"), text);
  }
}

function describe({ code, impairs, since }, { warnings }, nowMs) {
  if (code === undefined) return "";
  const follows = warnings.filter(({ dependsOn }) => dependsOn?.includes(code));
  return [
    `${code} for ${age(since, nowMs)}`,
    `impairs: ${impairs}`,
    ...follows.length === 0
      ? []
      : [`consequences: ${follows.map(({ code }) => code).join(", ")}`],
  ].join(" · ");
}

function emptyItem() {
  return element(
    "li",
    {},
    element("p", {}, element("b"), ": ", element("span")),
    element("p", { class: "quiet" }),
  );
}
