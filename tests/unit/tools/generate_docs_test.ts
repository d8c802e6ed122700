import { assertEquals, assertThrows } from "@std/assert";
import { replaceParts } from "../../../tools/docs/document_parts.ts";
import { code, markdownTable } from "../../../tools/docs/markdown_table.ts";
import { renderNetworkSchema } from "../../../tools/docs/network_json_schema.ts";
import { staleDocuments } from "../../../tools/generate_docs.ts";

Deno.test("the published documents are those that the tables and schemas give", () => {
  assertEquals(staleDocuments(), []);
});

Deno.test("the published schema requires Network and knows every bound", () => {
  const schema = JSON.parse(renderNetworkSchema());
  assertEquals(schema.required, ["Network"]);
  assertEquals(schema.properties.SubnetLen.maximum, 30);
  const [udp] = schema.properties.Backend.anyOf;
  assertEquals(udp.properties.Type.const, "udp");
  assertEquals(udp.properties.Port.maximum, 65535);
  const network = new RegExp(schema.properties.Network.pattern);
  assertEquals(network.test("10.1.0.0/16"), true);
  assertEquals(network.test("10.1.0.256/16"), false);
});

const DOCUMENT = `before
<!-- generated: a -->
old
<!-- end of a -->
after
`;

Deno.test("a part is replaced between its marks and nowhere else", () => {
  const once = replaceParts(DOCUMENT, { a: "new\n" });
  assertEquals(
    once,
    "before\n<!-- generated: a -->\n\nnew\n\n<!-- end of a -->\nafter\n",
  );
  assertEquals(replaceParts(once, { a: "new\n" }), once);
});

Deno.test("a part without a place and a place without a part are errors", () => {
  assertThrows(() => replaceParts(DOCUMENT, { a: "", b: "" }), Error, "b");
  assertThrows(() => replaceParts(DOCUMENT, {}), Error, "a");
});

Deno.test("a table pads its columns and keeps bars inside cells", () => {
  assertEquals(
    markdownTable(["x", "name"], [["1", code("a|b")]]),
    "| x   | name   |\n| --- | ------ |\n| 1   | `a\\|b` |\n",
  );
});
