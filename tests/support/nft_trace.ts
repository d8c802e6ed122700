/**
 * What nft 1.1 prints about a packet that a rule drops.
 *
 * @module
 */

/** Of the table `loden_explain_812`. */
export const TRACE = `table ip loden_explain_812 { # progname nft
\tflags owner
}
trace id 556be3e1 ip loden_explain_812 first packet: iif "docker0" ip saddr 10.1.5.2 ip daddr 10.1.7.2 ip dscp cs0 ip ecn not-ect ip ttl 2 ip id 34440 ip length 84 icmp type echo-request icmp code 0 icmp id 24776 icmp sequence 1
trace id 556be3e1 ip loden_explain_812 first unknown rule handle 2 (verdict continue)
trace id 556be3e1 ip loden_explain_812 first policy accept
trace id 556be3e1 ip filter FORWARD packet: iif "docker0" oif "flannel0" ip saddr 10.1.5.2 ip daddr 10.1.7.2
trace id 556be3e1 ip filter FORWARD rule counter packets 7 bytes 588 jump DOCKER-USER (verdict jump DOCKER-USER)
trace id 556be3e1 ip filter DOCKER-USER rule ip daddr 10.1.7.2 counter packets 1 bytes 84 drop comment "no" (verdict drop)
`;
