import { assertEquals } from "@std/assert";
import { routeKey } from "../../../../backend/reconcile/plan.ts";
import { RouteClaims } from "../../../../backend/reconcile/route_claims.ts";
import type { NewRoute } from "../../../../linux/netlink/rtnetlink.ts";
import { formatCidr, parseCidr } from "../../../../net/cidr.ts";

const route = (subnet: string): NewRoute => ({
  destination: parseCidr(subnet)!,
});
const names = (routes: readonly NewRoute[]) =>
  routes.map(({ destination }) => formatCidr(destination));

const A = route("10.1.5.0/24");
const B = route("10.1.6.0/24");

Deno.test("what others have claimed is theirs", () => {
  const claims = new RouteClaims();
  const [one, other] = [claims.open(), claims.open()];
  one.set([A]);
  assertEquals(names(other.set([B])), ["10.1.6.0/24"]);
  assertEquals(other.isOfOthers(routeKey(A)), true);
  assertEquals(other.isOfOthers(routeKey(B)), false);
});

Deno.test("a route goes to the claim that began to want it last, and back", () => {
  const claims = new RouteClaims();
  const [former, present] = [claims.open(), claims.open()];
  former.set([A, B]);
  assertEquals(names(present.change([A], [])), ["10.1.5.0/24"]);
  // It still wants both, and must not take the first one back.
  assertEquals(names(former.set([A, B])), ["10.1.6.0/24"]);
  present.change([], [A]);
  assertEquals(names(former.set([A, B])), ["10.1.5.0/24", "10.1.6.0/24"]);
});

Deno.test("a claim that has ended claims nothing", () => {
  const claims = new RouteClaims();
  const [former, present] = [claims.open(), claims.open()];
  former.set([A]);
  former.end();
  assertEquals(present.isOfOthers(routeKey(A)), false);
});
