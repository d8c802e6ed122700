import type { MethodDefinition } from "@grpc/grpc-js";
import { loadSync, type Options } from "@grpc/proto-loader";
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import fc from "fast-check";
import protobuf from "protobufjs";
import { protocolOf } from "../../../../tools/compile/bundle.ts";
import { packageDefinition } from "../../../../tools/compile/package_definition.ts";

const PROTOCOL = fromFileUrl(
  new URL("../proto/rpc.proto", import.meta.resolve("etcd3")),
);
/** As etcd3 asks for it. */
const OPTIONS: Options = {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
};
const expected = loadSync(PROTOCOL, OPTIONS);
const definition = packageDefinition(protocolOf(PROTOCOL), OPTIONS);

const services = Object.entries(expected).flatMap(([name, value]) =>
  "format" in value ? [] : [[name, value] as const]
);

Deno.test("every service of etcd is defined as proto-loader defines it", () => {
  assert(services.length >= 4);
  assertEquals(Object.keys(definition), services.map(([name]) => name));
  for (const [name, methods] of services) {
    assertEquals(outlines(definition[name]!), outlines(methods));
  }
});

Deno.test("messages become the bytes, and bytes the objects, of proto-loader", () => {
  const root = new protobuf.Root().loadSync(PROTOCOL, { keepCase: true });
  root.resolveAll();
  for (const [name, methods] of services) {
    for (const method of root.lookupService(name).methodsArray) {
      const ours = definition[name]![method.name]!;
      const theirs = methods[method.name]!;
      sameCoding(
        method.resolvedRequestType!,
        [ours.requestSerialize, ours.requestDeserialize],
        [theirs.requestSerialize, theirs.requestDeserialize],
      );
      sameCoding(
        method.resolvedResponseType!,
        [ours.responseSerialize, ours.responseDeserialize],
        [theirs.responseSerialize, theirs.responseDeserialize],
      );
    }
  }
});

type Coding = readonly [
  serialize: (value: object) => Uint8Array,
  deserialize: (bytes: Buffer) => object,
];

function sameCoding(type: protobuf.Type, ours: Coding, theirs: Coding): void {
  fc.assert(
    fc.property(messages(type, 2), (message) => {
      const bytes = theirs[0](message);
      assertEquals(ours[0](message), bytes);
      const read = theirs[1](Buffer.from(bytes));
      assertEquals(ours[1](Buffer.from(bytes)), read);
    }),
    { numRuns: 20 },
  );
}

/** @param depth How many messages may be within one another. */
function messages(
  type: protobuf.Type,
  depth: number,
): fc.Arbitrary<Record<string, unknown>> {
  const fields = type.fieldsArray.flatMap((field) => {
    const value = values(field, depth);
    if (value === undefined) return [];
    const repeated = field.repeated ? fc.array(value, { maxLength: 2 }) : value;
    return [[field.name, repeated] as const];
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] }).map(
    (message) => withoutRivals(type, message),
  );
}

function values(
  { resolvedType, type }: protobuf.Field,
  depth: number,
): fc.Arbitrary<unknown> | undefined {
  if (resolvedType instanceof protobuf.Enum) {
    return fc.constantFrom(...Object.keys(resolvedType.values));
  }
  if (resolvedType !== null) {
    return depth === 0 ? undefined : messages(resolvedType, depth - 1);
  }
  const arbitrary = SCALARS[type];
  if (arbitrary === undefined) throw new Error(`No values for ${type}`);
  return arbitrary;
}

const SCALARS: Record<string, fc.Arbitrary<unknown>> = {
  bool: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  string: fc.string({ maxLength: 8 }),
  int32: fc.integer(),
  uint32: fc.nat(),
  // As text: JavaScript's numbers are too short for a lease's.
  int64: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
  uint64: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
};

/** Of the fields of a `oneof`, only one may be there. */
function withoutRivals(
  type: protobuf.Type,
  message: Record<string, unknown>,
): Record<string, unknown> {
  const rest = { ...message };
  for (const { oneof } of type.oneofsArray) {
    for (const name of oneof.filter((name) => name in rest).slice(1)) {
      delete rest[name];
    }
  }
  return rest;
}

/** What a method is, but for what cannot be compared. */
function outlines(
  methods: object,
): Partial<MethodDefinition<object, object>>[] {
  return Object.values(methods).map((method) => {
    const { originalName, path, requestStream, responseStream } = method;
    return { originalName, path, requestStream, responseStream };
  });
}
