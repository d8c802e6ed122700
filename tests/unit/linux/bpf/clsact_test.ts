import { assertEquals, assertThrows } from "@std/assert";
import type { BpfProgram } from "../../../../linux/bpf/bpf.ts";
import { ClsactHooks } from "../../../../linux/bpf/clsact.ts";
import { ERRNO } from "../../../../linux/errno.ts";
import {
  CONTROL,
  decodeMessages,
  encodeMessage,
} from "../../../../linux/netlink/codec.ts";
import { NetlinkError } from "../../../../linux/netlink/errors.ts";
import { NetlinkClient } from "../../../../linux/netlink/netlink_client.ts";
import type { NetlinkTransport } from "../../../../linux/netlink/netlink_transport.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_GETTFILTER = 46;

/** Refuses requests by their type, and consents to all others. */
class RefusingKernel implements NetlinkTransport {
  /** Types of the requests, but for lists. */
  readonly changes: number[] = [];
  readonly #refusals: Readonly<Record<number, number>>;
  #answer = new Uint8Array();

  constructor(refusals: Readonly<Record<number, number>>) {
    this.#refusals = refusals;
  }

  send(bytes: Uint8Array): void {
    const [request] = [...decodeMessages(bytes)];
    const { sequence, type } = request!;
    if (type !== RTM_GETTFILTER) this.changes.push(type);
    const payload = new Uint8Array(20);
    const errno = this.#refusals[type] ?? 0;
    new DataView(payload.buffer).setInt32(0, -errno, true);
    const isList = type === RTM_GETTFILTER && errno === 0;
    const answer = isList ? CONTROL.DONE : CONTROL.ERROR;
    this.#answer = encodeMessage({ type: answer, flags: 0, sequence, payload });
  }

  receive(): Uint8Array {
    return this.#answer;
  }

  reset(): void {}
  [Symbol.dispose](): void {}
}

const PROGRAM = { id: 3, name: "loden_tx", descriptor: 9 } as BpfProgram;

function attachOn(refusals: Readonly<Record<number, number>>) {
  const kernel = new RefusingKernel(refusals);
  const hooks = new ClsactHooks(new NetlinkClient(kernel));
  return {
    hooks,
    kernel,
    attach: () => hooks.attach(7, "egress", PROGRAM, undefined),
  };
}

const LACKING = [
  ["cls_bpf", { [RTM_NEWTFILTER]: ERRNO.ENOENT }],
  ["sch_ingress", { [RTM_NEWQDISC]: ERRNO.ENOENT }],
  // Nothing of traffic control is there.
  ["sch_ingress", {
    [RTM_NEWQDISC]: ERRNO.EOPNOTSUPP,
    [RTM_GETTFILTER]: ERRNO.EOPNOTSUPP,
  }],
] as const;
for (const [module, refusals] of LACKING) {
  Deno.test(`a kernel without ${module} that answers ${Object.values(refusals)} is told by its name, and nothing is left`, () => {
    const { attach, kernel } = attachOn(refusals);
    const error = assertThrows(
      attach,
      NetlinkError,
      `the kernel must have the module ${module}`,
    );
    assertEquals(
      error.hint,
      `modprobe ${module}; if there is no such module, install the ` +
        "distribution's full kernel package",
    );
    assertEquals(
      kernel.changes,
      module === "cls_bpf"
        ? [RTM_NEWQDISC, RTM_NEWTFILTER, RTM_DELQDISC]
        : [RTM_NEWQDISC],
    );
  });
}

Deno.test("another refusal is told as it is", () => {
  const { attach } = attachOn({ [RTM_NEWTFILTER]: ERRNO.EPERM });
  const error = assertThrows(attach, NetlinkError, "EPERM");
  assertEquals(error.hint, "run as root or with CAP_NET_ADMIN");
});

Deno.test("a kernel without any filter has none at a device", () => {
  const { hooks } = attachOn({ [RTM_GETTFILTER]: ERRNO.EOPNOTSUPP });
  assertEquals(hooks.filters(7, "ingress"), []);
  const busy = attachOn({ [RTM_GETTFILTER]: ERRNO.EPERM });
  assertThrows(() => busy.hooks.filters(7, "ingress"), NetlinkError, "EPERM");
});
