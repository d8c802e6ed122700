/**
 * Rules as the tools print them, of hosts with Docker and Loden.
 *
 * @module
 */

/** `iptables-save` of a host with Docker 28, and Loden's rules in it. */
export const DOCKER28_WITH_LODEN = `*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:LODEN-DOCKER - [0:0]
-A PREROUTING -m comment --comment "loden docker" -j LODEN-DOCKER
-A PREROUTING -d 10.1.27.2/32 ! -i docker0 -j DROP
-A LODEN-DOCKER -s 10.1.0.0/16 -d 10.1.27.0/24 -i flannel0 -m comment --comment "loden docker" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:FLANNEL-POSTRTG - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.27.2:80
-A FLANNEL-POSTRTG -s 10.1.0.0/16 -d 10.1.27.0/24 -m comment --comment "flanneld masq" -j RETURN
-A FLANNEL-POSTRTG ! -s 10.1.0.0/16 -d 10.1.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
:FLANNEL-FWD - [0:0]
:LODEN-DOCKER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A DOCKER -d 10.1.27.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-USER -m comment --comment "loden docker" -j LODEN-DOCKER
-A FLANNEL-FWD -s 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A FLANNEL-FWD -d 10.1.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A LODEN-DOCKER -s 10.1.0.0/16 -d 10.1.27.0/24 -i flannel0 -m comment --comment "loden docker" -j ACCEPT
COMMIT
`;

/** The same before Loden's rules. */
export const DOCKER28 = DOCKER28_WITH_LODEN.split("\n")
  .filter((line) => !/loden docker|flanneld|LODEN|FLANNEL/.test(line))
  .join("\n");

/**
 * `nft -j list ruleset`: Docker 29's own tables, Loden's rules against spoofing,
 * and an administrator's firewall.
 */
export const NFTABLES = Deno.readTextFileSync(
  new URL("nftables.json", import.meta.url),
);
