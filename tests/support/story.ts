/**
 * Tests that go on from one another, as the life of a package does.
 *
 * @module
 */

/**
 * Registers the parts of a story. After one that has failed the others fail at
 * once, and name it.
 */
export function story(): (name: string, body: () => Promise<void>) => void {
  let broken: string | undefined;
  return (name, body) =>
    Deno.test(name, async () => {
      if (broken !== undefined) {
        throw new Error(`Cannot go on: an earlier test has failed: ${broken}`);
      }
      broken = name;
      await body();
      broken = undefined;
    });
}
