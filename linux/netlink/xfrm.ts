/**
 * The kernel's IPsec policies.
 *
 * Source: `linux/xfrm.h`.
 *
 * @module
 */

import { ERRNO, SystemCallError } from "../errno.ts";
import { NetlinkClient } from "./netlink_client.ts";
import { NETLINK, NetlinkSocket } from "./netlink_socket.ts";

const XFRM_MSG_GETPOLICY = 0x15;
/** struct xfrm_userpolicy_id: a selector (56), an index (u32), a direction. */
const POLICY_ID_BYTES = 64;
const RECEIVE_BYTES = 16 * 1024;

/**
 * How many IPsec policies the network namespace of this thread has; 0 where the
 * kernel knows no IPsec. Throws {@linkcode NetlinkError}, `EPERM` without
 * CAP_NET_ADMIN.
 */
export function countIpsecPolicies(): number {
  let socket: NetlinkSocket;
  try {
    socket = new NetlinkSocket(RECEIVE_BYTES, NETLINK.XFRM);
  } catch (error) {
    const isUnknown = error instanceof SystemCallError &&
      error.errno === ERRNO.EPROTONOSUPPORT;
    if (isUnknown) return 0;
    throw error;
  }
  using client = new NetlinkClient(socket);
  return client.list("list the IPsec policies", {
    type: XFRM_MSG_GETPOLICY,
    flags: 0,
    payload: new Uint8Array(POLICY_ID_BYTES),
  }).length;
}
