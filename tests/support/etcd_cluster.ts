/**
 * A real etcd of several members.
 *
 * @module
 */

import { type EtcdOptions, type EtcdServer, startEtcd } from "./etcd.ts";

/** Between the ports of one member and the next. */
const PORT_STEP = 10;

/**
 * Starts `size` members together, since none serves before most are there. Their
 * client ports are `clientPort`, `clientPort + 10` …, each peer port one above.
 * Nothing is left when that fails.
 */
export async function startEtcdCluster(
  size: number,
  options: EtcdOptions & {
    readonly clientPort: number;
    readonly listenAddress: string;
    readonly logFile: string;
  },
): Promise<EtcdServer[]> {
  const { clientPort, listenAddress, logFile } = options;
  const members = Array.from({ length: size }, (_, index) => ({
    name: `member${index + 1}`,
    clientPort: clientPort + index * PORT_STEP,
    peerPort: clientPort + index * PORT_STEP + 1,
  }));
  const initialCluster = members
    .map(({ name, peerPort }) => `${name}=http://${listenAddress}:${peerPort}`)
    .join();
  const starts = await Promise.allSettled(
    members.map(({ clientPort, name, peerPort }) =>
      startEtcd({
        ...options,
        clientPort,
        logFile: `${logFile}.${name}`,
        member: { name, peerPort, initialCluster },
      })
    ),
  );
  const failed = starts.find(({ status }) => status === "rejected");
  const started = starts.flatMap((start) =>
    start.status === "fulfilled" ? [start.value] : []
  );
  if (failed?.status === "rejected") {
    await Promise.all(started.map((member) => member.stop()));
    throw failed.reason;
  }
  return started;
}

/** The member that leads. Throws when no member knows one. */
export async function leaderOf(
  members: readonly EtcdServer[],
): Promise<EtcdServer> {
  for (const member of members) {
    const [status] = JSON.parse(
      await member.ctl("endpoint", "status", "--write-out=json"),
    ) as [{ Status: { header: { member_id: number }; leader: number } }];
    if (status.Status.header.member_id === status.Status.leader) return member;
  }
  throw new Error("Cannot find the leader: no member says that it leads");
}
