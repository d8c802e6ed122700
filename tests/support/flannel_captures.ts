/**
 * What flannel's daemon has written and programmed: captures of it, in etcd mode,
 * at commit cdf76059 (after v0.28.9). Two or three hosts with 192.0.2.11, .12 and
 * .13 on one link, or the third behind a router; seen from the first.
 *
 * @module
 */

/** One network. */
export interface FlannelCapture {
  readonly name: string;
  /** The network config. */
  readonly config: string;
  /** Keys below `subnets/`, and their values. */
  readonly leases: Readonly<Record<string, string>>;
  /** The first host's key. */
  readonly own: string;
  /** FLANNEL_MTU on an underlay of 1500 bytes; absent where it was not started. */
  readonly mtuBytes?: number;
  /** Routes, neighbours and forwarding entries of the kernel's backends. */
  readonly programmed?: readonly string[];
}

/** By backend and options. */
export const FLANNEL_CAPTURES: readonly FlannelCapture[] = [
  {
    name: "udp",
    config: '{"Network":"10.1.0.0/16"}',
    own: "10.1.51.0-24",
    mtuBytes: 1472,
    leases: {
      "10.1.1.0-24": '{"PublicIP":"192.0.2.12","PublicIPv6":null}',
      "10.1.51.0-24": '{"PublicIP":"192.0.2.11","PublicIPv6":null}',
    },
  },
  {
    name: "alloc",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"alloc"}}',
    own: "10.1.8.0-24",
    mtuBytes: 1500,
    leases: {
      "10.1.77.0-24": '{"PublicIP":"192.0.2.12","PublicIPv6":null}',
      "10.1.8.0-24": '{"PublicIP":"192.0.2.11","PublicIPv6":null}',
    },
  },
  {
    name: "hostgw",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"host-gw"}}',
    own: "10.1.74.0-24",
    mtuBytes: 1500,
    leases: {
      "10.1.12.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"host-gw"}',
      "10.1.29.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"host-gw"}',
      "10.1.74.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"host-gw"}',
    },
    programmed: [
      "route 10.1.12.0/24 via 192.0.2.13 dev eth1",
      "route 10.1.29.0/24 via 192.0.2.12 dev eth1",
    ],
  },
  {
    name: "extension",
    config:
      '{"Network":"10.1.0.0/16","Backend":{"Type":"extension","PreStartupCommand":"/opt/ext/pre.sh","PostStartupCommand":"/opt/ext/dump.sh /opt/ext/h${HOSTNO} post $NETWORK ${SUBNET} \\"$SUBNET\\" $NOSUCH a;b | c && d","SubnetAddCommand":"/opt/ext/dump.sh /opt/ext/h$HOSTNO add $SUBNET $PUBLIC_IP [$PUBLIC_IPV6] [$NETWORK] $IPV6SUBNET","SubnetRemoveCommand":"/opt/ext/dump.sh /opt/ext/h$HOSTNO remove $SUBNET $PUBLIC_IP"}}',
    own: "10.1.16.0-24",
    mtuBytes: 1500,
    leases: {
      "10.1.16.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"extension","BackendData":"out \\u003ca\\u0026b\\u003e \\"q\\" \\\\ é\\nsecond line\\nerr"}',
      "10.1.70.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"extension","BackendData":"out \\u003ca\\u0026b\\u003e \\"q\\" \\\\ é\\nsecond line\\nerr"}',
    },
  },
  {
    name: "vxlan-default",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}',
    own: "10.1.15.0-24",
    mtuBytes: 1450,
    leases: {
      "10.1.15.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"12:45:44:e0:e5:fd"}}',
      "10.1.37.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"16:bf:26:ad:e8:47"}}',
      "10.1.90.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"b2:e7:7b:f5:14:c9"}}',
    },
    programmed: [
      "forward 16:bf:26:ad:e8:47 192.0.2.12",
      "forward b2:e7:7b:f5:14:c9 192.0.2.13",
      "neighbour 10.1.37.0 16:bf:26:ad:e8:47",
      "neighbour 10.1.90.0 b2:e7:7b:f5:14:c9",
      "route 10.1.37.0/24 via 10.1.37.0 dev flannel.1",
      "route 10.1.90.0/24 via 10.1.90.0 dev flannel.1",
    ],
  },
  {
    name: "vxlan-mtu-1400",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","MTU":1400}}',
    own: "10.1.15.0-24",
    mtuBytes: 1350,
    leases: {
      "10.1.15.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"72:fe:be:d1:bb:a3"}}',
      "10.1.37.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ca:c1:05:22:fd:ab"}}',
      "10.1.90.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"86:f7:ea:55:58:91"}}',
    },
    programmed: [
      "forward 86:f7:ea:55:58:91 192.0.2.13",
      "forward ca:c1:05:22:fd:ab 192.0.2.12",
      "neighbour 10.1.37.0 ca:c1:05:22:fd:ab",
      "neighbour 10.1.90.0 86:f7:ea:55:58:91",
      "route 10.1.37.0/24 via 10.1.37.0 dev flannel.1",
      "route 10.1.90.0/24 via 10.1.90.0 dev flannel.1",
    ],
  },
  {
    name: "vxlan-vni42-port4789",
    config:
      '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":42,"Port":4789}}',
    own: "10.1.15.0-24",
    mtuBytes: 1450,
    leases: {
      "10.1.15.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":42,"VtepMAC":"72:3f:67:b8:d7:e0"}}',
      "10.1.37.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ca:c1:05:22:fd:ab"}}',
      "10.1.90.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"86:f7:ea:55:58:91"}}',
    },
    programmed: [
      "forward 86:f7:ea:55:58:91 192.0.2.13",
      "forward ca:c1:05:22:fd:ab 192.0.2.12",
      "neighbour 10.1.37.0 ca:c1:05:22:fd:ab",
      "neighbour 10.1.90.0 86:f7:ea:55:58:91",
      "route 10.1.37.0/24 via 10.1.37.0 dev flannel.42",
      "route 10.1.90.0/24 via 10.1.90.0 dev flannel.42",
    ],
  },
  {
    name: "vxlan-gbp",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","GBP":true}}',
    own: "10.1.15.0-24",
    mtuBytes: 1450,
    leases: {
      "10.1.15.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c2:3d:11:f1:c6:c0"}}',
      "10.1.37.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ca:c1:05:22:fd:ab"}}',
      "10.1.90.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"86:f7:ea:55:58:91"}}',
    },
    programmed: [
      "forward 86:f7:ea:55:58:91 192.0.2.13",
      "forward ca:c1:05:22:fd:ab 192.0.2.12",
      "neighbour 10.1.37.0 ca:c1:05:22:fd:ab",
      "neighbour 10.1.90.0 86:f7:ea:55:58:91",
      "route 10.1.37.0/24 via 10.1.37.0 dev flannel.1",
      "route 10.1.90.0/24 via 10.1.90.0 dev flannel.1",
    ],
  },
  {
    name: "vxlan-learning",
    config:
      '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","Learning":true}}',
    own: "10.1.15.0-24",
    mtuBytes: 1450,
    leases: {
      "10.1.15.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"d2:c5:b1:53:97:24"}}',
      "10.1.37.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ca:c1:05:22:fd:ab"}}',
      "10.1.90.0-24":
        '{"PublicIP":"192.0.2.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"86:f7:ea:55:58:91"}}',
    },
    programmed: [
      "forward 86:f7:ea:55:58:91 192.0.2.13",
      "forward ca:c1:05:22:fd:ab 192.0.2.12",
      "neighbour 10.1.37.0 ca:c1:05:22:fd:ab",
      "neighbour 10.1.90.0 86:f7:ea:55:58:91",
      "route 10.1.37.0/24 via 10.1.37.0 dev flannel.1",
      "route 10.1.90.0/24 via 10.1.90.0 dev flannel.1",
    ],
  },
  {
    name: "vxlan-directrouting",
    config:
      '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}',
    own: "10.1.13.0-24",
    mtuBytes: 1450,
    leases: {
      "10.1.13.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ea:21:0a:28:4f:58"}}',
      "10.1.42.0-24":
        '{"PublicIP":"192.0.2.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"46:ea:4c:78:86:24"}}',
      "10.1.53.0-24":
        '{"PublicIP":"198.51.100.13","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"3e:10:6b:9f:4a:46"}}',
    },
    programmed: [
      "forward 3e:10:6b:9f:4a:46 198.51.100.13",
      "neighbour 10.1.53.0 3e:10:6b:9f:4a:46",
      "route 10.1.42.0/24 via 192.0.2.12 dev eth1",
      "route 10.1.53.0/24 via 10.1.53.0 dev flannel.1",
    ],
  },
  {
    name: "ipip",
    config: '{"Network":"10.1.0.0/16","Backend":{"Type":"ipip"}}',
    own: "10.1.51.0-24",
    leases: {
      "10.1.51.0-24":
        '{"PublicIP":"192.0.2.11","PublicIPv6":null,"BackendType":"ipip"}',
    },
  },
  {
    name: "vxlan-dualstack",
    config:
      '{"Network":"10.1.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48","Backend":{"Type":"vxlan"}}',
    own: "10.1.34.0-24&fc00:0:0:4d::-64",
    mtuBytes: 1450,
    leases: {
      "10.1.3.0-24&fc00:0:0:16::-64":
        '{"PublicIP":"192.0.2.12","PublicIPv6":"2001:db8::12","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"22:60:0a:6f:e6:71"},"BackendV6Data":{"VNI":1,"VtepMAC":"06:d9:d9:06:64:f9"}}',
      "10.1.34.0-24&fc00:0:0:4d::-64":
        '{"PublicIP":"192.0.2.11","PublicIPv6":"2001:db8::11","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"26:3a:7d:14:fa:1e"},"BackendV6Data":{"VNI":1,"VtepMAC":"22:77:a4:92:09:2e"}}',
    },
    programmed: [
      "forward 22:60:0a:6f:e6:71 192.0.2.12",
      "neighbour 10.1.3.0 22:60:0a:6f:e6:71",
      "route 10.1.3.0/24 via 10.1.3.0 dev flannel.1",
    ],
  },
];
