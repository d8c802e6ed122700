/**
 * What every firewall does.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Firewall, FirewallRules } from "../../host/firewall/firewall.ts";
import { parseCidr } from "../../net/cidr.ts";

/** The rules that the contract is about. */
export const RULES: FirewallRules = {
  network: parseCidr("10.1.0.0/16")!,
  subnet: parseCidr("10.1.27.0/24")!,
  masquerade: true,
  forward: true,
  randomFully: true,
};

/** Those of a second agent on the same host. */
export const SECOND: FirewallRules = {
  ...RULES,
  network: parseCidr("10.2.0.0/16")!,
  subnet: parseCidr("10.2.3.0/24")!,
};

const signal = new AbortController().signal;

/**
 * Registers the contract's tests.
 *
 * @param make a firewall on a host that has no rules.
 */
export function testFirewall(name: string, make: () => Firewall): void {
  const test = (
    sentence: string,
    body: (firewall: Firewall) => Promise<void>,
  ) => Deno.test(`${name}: ${sentence}`, () => body(make()));

  test("rules are set once and then found in place", async (firewall) => {
    assert((await firewall.check(RULES, signal)).length > 0);
    assert((await firewall.ensure(RULES, signal)).length > 0);
    assertEquals(await firewall.check(RULES, signal), []);
    assertEquals(await firewall.ensure(RULES, signal), []);
  });

  test("each half of the rules can be had alone", async (firewall) => {
    for (const part of ["masquerade", "forward"]) {
      const half = {
        ...RULES,
        masquerade: false,
        forward: false,
        [part]: true,
      };
      await firewall.ensure(half, signal);
      assertEquals(await firewall.check(half, signal), []);
      assert((await firewall.check(RULES, signal)).length > 0);
    }
  });

  test("no rules are wanted and none are there: nothing is done", async (firewall) => {
    const none = { ...RULES, masquerade: false, forward: false };
    assertEquals(await firewall.ensure(none, signal), []);
  });

  test("rules that are no longer wanted go", async (firewall) => {
    const none = { ...RULES, masquerade: false, forward: false };
    await firewall.ensure(RULES, signal);
    assert((await firewall.ensure(none, signal)).length > 0);
    assertEquals(await firewall.remove({ dryRun: true }, signal), []);
  });

  test("a new subnet takes the old one's place", async (firewall) => {
    const moved = { ...RULES, subnet: parseCidr("10.1.28.0/24")! };
    await firewall.ensure(RULES, signal);
    assert((await firewall.ensure(moved, signal)).length > 0);
    assertEquals(await firewall.check(moved, signal), []);
    assert((await firewall.check(RULES, signal)).length > 0);
  });

  test("source ports at random can be had and not", async (firewall) => {
    const ordered = { ...RULES, randomFully: false };
    await firewall.ensure(RULES, signal);
    assert((await firewall.ensure(ordered, signal)).length > 0);
    assertEquals(await firewall.check(ordered, signal), []);
  });

  test("two agents' networks live side by side", async (firewall) => {
    await firewall.ensure(RULES, signal);
    await firewall.ensure(SECOND, signal);
    assertEquals(await firewall.check(RULES, signal), []);
    assertEquals(await firewall.check(SECOND, signal), []);
    assert(
      (await firewall.remove({ network: RULES.network }, signal)).length > 0,
    );
    assertEquals(await firewall.check(SECOND, signal), []);
    assert((await firewall.check(RULES, signal)).length > 0);
  });

  test("a former network's rules go, others' stay", async (firewall) => {
    const third = parseCidr("10.3.0.0/16")!;
    await firewall.ensure({ ...SECOND, network: third }, signal);
    await firewall.ensure(RULES, signal);
    const next = { ...SECOND, formerNetwork: RULES.network };
    assert((await firewall.ensure(next, signal)).length > 0);
    assertEquals(await firewall.check(next, signal), []);
    assert((await firewall.check(RULES, signal)).length > 0);
    assertEquals(
      await firewall.check({ ...SECOND, network: third }, signal),
      [],
    );
  });

  test("a dry run tells what removing would do, and does nothing", async (firewall) => {
    await firewall.ensure(RULES, signal);
    const told = await firewall.remove({ dryRun: true }, signal);
    assert(told.length > 0);
    assertEquals(await firewall.check(RULES, signal), []);
    assertEquals(await firewall.remove({}, signal), told);
    assertEquals(await firewall.remove({}, signal), []);
    assert((await firewall.check(RULES, signal)).length > 0);
  });

  test("an aborted signal rejects with its reason", async (firewall) => {
    const aborted = AbortSignal.abort(new Error("stop"));
    await assertRejects(() => firewall.ensure(RULES, aborted), Error, "stop");
    await assertRejects(() => firewall.check(RULES, aborted), Error, "stop");
    await assertRejects(() => firewall.remove({}, aborted), Error, "stop");
  });
}
