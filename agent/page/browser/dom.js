// The page's elements. Text goes into text nodes and nothing else, so that no
// value of etcd is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svgElement(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Writes only what differs: a selection and a screen reader stay undisturbed. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Rows of a `dl`: `[name, value]`. Rows that stay the same stay in place. */
export function setRows(list, rows) {
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(([name, value], index) => {
    const row = list.children[index] ??
      list.appendChild(
        element("div", {}, element("dt"), element("dd")),
      );
    setText(row.firstElementChild, name);
    setText(row.lastElementChild, value);
  });
}
