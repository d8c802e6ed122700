import { ERRNO } from "../../linux/errno.ts";
import { FakeUnderlaySocket } from "../fakes/fake_underlay_socket.ts";
import {
  PEER,
  ROUTER,
  SOCKET_DATAGRAM_BYTES,
  SOCKET_PORT,
  underlaySocketContract,
} from "./underlay_socket_contract.ts";

underlaySocketContract("FakeUnderlaySocket", () => {
  const socket = new FakeUnderlaySocket(SOCKET_DATAGRAM_BYTES);
  const common = { address: PEER, port: SOCKET_PORT, origin: "icmp" } as const;
  return {
    socket,
    interfaceIndex: 7,
    peerSends: (port, payload) =>
      socket.bring({ payload, address: PEER, port, interfaceIndex: 7 }),
    routerRefuses: (mtuBytes) =>
      socket.bringError({
        ...common,
        reporter: ROUTER,
        errno: ERRNO.EMSGSIZE,
        unreachableCode: 4,
        mtuBytes,
      }),
    peerRefuses: () =>
      socket.bringError({
        ...common,
        reporter: PEER,
        errno: ERRNO.ECONNREFUSED,
        unreachableCode: 3,
        mtuBytes: undefined,
      }),
    settle() {},
    [Symbol.dispose]() {},
  };
});
