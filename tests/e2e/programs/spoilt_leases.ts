/**
 * Puts keys and values that are nearly leases beside the real ones, or deletes
 * them again: `spoilt_leases.ts put|delete <endpoint> <prefix> <count>`.
 *
 * Each is a good lease of the upper half of 10.1.0.0/16 with a few bytes of its
 * key or value changed, removed or added. The same count gives the same ones.
 * None claims a subnet of the lower half, where the real hosts are: that would be
 * another host's claim, not a spoilt one. etcd is asked by its JSON gateway,
 * since `etcdctl` takes no bytes that are not text.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { FakeRandom } from "../../fakes/fake_random.ts";

/** etcd's default limit is 128 operations. */
const PER_TRANSACTION = 100;
const MOST_CHANGES = 4;
/** Rather what means something in a key or in JSON than any byte. */
const TELLING = '0123456789.-/&{}[]":,nul\\ \n\0\xff';
const LOWER_HALF = /^10\.1\.(\d+)\.\d+-(?:1[7-9]|[2-9]\d)$/;

const [how, endpoint, prefix, count] = Deno.args as [
  "put" | "delete",
  string,
  string,
  string,
];
const random = new FakeRandom(Number(count));
const leases = [...spoiltLeases(Number(count))];
for (let i = 0; i < leases.length; i += PER_TRANSACTION) {
  await transact(leases.slice(i, i + PER_TRANSACTION));
}

/** Keys below the prefix, all different, and values; one character is one byte. */
function spoiltLeases(most: number): Map<string, string> {
  const leases = new Map<string, string>();
  while (leases.size < most) {
    const subnet = `10.1.${128 + random.below(128)}.${
      random.below(16) * 16
    }-28`;
    const value = JSON.stringify({
      PublicIP: `203.0.113.${random.below(256)}`,
      PublicIPv6: null,
      LodenHostId: "0123456789abcdef0123456789abcdef",
    });
    const [key, spoilt] = random.below(2) === 0
      ? [mutate(subnet), value]
      : [subnet, mutate(value)];
    if (Number(LOWER_HALF.exec(key)?.[1] ?? 255) >= 128) {
      leases.set(key, spoilt);
    }
  }
  return leases;
}

function mutate(text: string): string {
  let mutated = text;
  for (let i = 1 + random.below(MOST_CHANGES); i > 0; i--) {
    const at = random.below(mutated.length + 1);
    const removed = random.below(3) === 0
      ? random.below(mutated.length + 1)
      : random.below(2);
    const added = random.below(3) === 0
      ? ""
      : TELLING[random.below(TELLING.length)]!;
    mutated = mutated.slice(0, at) + added + mutated.slice(at + removed);
  }
  return mutated;
}

/** All in one: success or nothing. */
async function transact(
  leases: readonly (readonly [key: string, value: string])[],
): Promise<void> {
  const success = leases.map(([name, value]) => {
    const key = base64(prefix + name);
    return how === "put"
      ? { request_put: { key, value: base64(value) } }
      : { request_delete_range: { key } };
  });
  const answer = await fetch(`${endpoint}/v3/kv/txn`, {
    method: "POST",
    body: JSON.stringify({ success }),
  });
  const said = await answer.text();
  if (!answer.ok) throw new Error(`etcd has refused: ${said}`);
}

function base64(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("base64");
}
