#!/bin/sh
# One of two hosts on one cable, as the runner asks for it by words:
#
#   up N                   host N (1 or 2) gets its address; host 1 runs etcd
#   agent DATAPATH RECEIVE starts the agent, or replaces the one that runs
#   probe PEER-CONTAINER   sends to a container of the other host
#   life PEER-CONTAINER    kills and starts the agent under a ping
#   cleanup                stops the agent and removes what is left
#
# A result is a line `name=value`; a failure ends with another code than 0.
set -eu
ETCD=http://192.0.2.11:2379
LODEN=/opt/loden/dist/loden

wait_for() { # SECONDS COMMAND...
  tries=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -eq 0 ]; then
      echo "no success in time: $*"
      tail -n 20 /tmp/loden.log /tmp/etcd.log 2>/dev/null || true
      exit 1
    fi
    sleep 0.2
  done
}

start_agent() {
  setsid "$LODEN" --etcd-endpoints="$ETCD" --iface=eth0 "$@" \
    >>/tmp/loden.log 2>&1 </dev/null &
  echo $! >/tmp/loden.pid
  wait_for 120 "$LODEN" status --check=ready
}

up() {
  wait_for 20 ip link show eth0
  ip address add "192.0.2.1$1/24" dev eth0
  ip link set eth0 up
  # As Docker does.
  echo 1 >/proc/sys/net/ipv4/ip_forward
  [ "$1" = 1 ] || return 0
  setsid etcd --data-dir /tmp/etcd --listen-client-urls "$ETCD" \
    --advertise-client-urls "$ETCD" >/tmp/etcd.log 2>&1 </dev/null &
  wait_for 60 etcdctl --endpoints="$ETCD" endpoint health
  "$LODEN" config put --etcd-endpoints="$ETCD" '{ "Network": "10.1.0.0/16" }'
}

agent() {
  if [ -s /tmp/loden.pid ]; then
    kill "$(cat /tmp/loden.pid)"
    wait_for 20 sh -c "! kill -0 $(cat /tmp/loden.pid)"
  fi
  start_agent "--datapath=$1" "--ebpf-receive=$2"
  . /run/flannel/subnet.env
  network=${FLANNEL_SUBNET%.1/24}
  if ! ip link show docker0 >/dev/null 2>&1; then
    ip link add docker0 type bridge
    ip address add "$FLANNEL_SUBNET" dev docker0
    ip link set docker0 mtu "$FLANNEL_MTU" up
    ip netns add c
    ip link add vc type veth peer name eth0 netns c
    ip link set vc mtu "$FLANNEL_MTU" master docker0 up
    ip -n c address add "$network.2/24" dev eth0
    ip -n c link set eth0 mtu "$FLANNEL_MTU" up
    ip -n c link set lo up
    ip -n c route add default via "$network.1"
    setsid ip netns exec c iperf3 --server --daemon >/dev/null 2>&1
  fi
  echo "container=$network.2"
  "$LODEN" status --json >/tmp/status
  echo "path=$(sed -n 's/.*"dataPath": *"\([a-z-]*\)".*/\1/p' /tmp/status | head -n 1)"
  echo "receive=$(sed -n 's/.*"receive on eth0": *"\([a-z]*\) by .*/\1/p' /tmp/status)"
  echo "attach=$(sed -n 's/.*"receive on eth0": *"[a-z]* by \([^:]*\):.*/\1/p' /tmp/status)"
}

# The share of its packets that a ping lost, in percent.
lost() { sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$1"; }

in_container() { ip netns exec c "$@"; }

megabits() { # IPERF3-ARGUMENT...
  in_container iperf3 --format m --time 2 --connect-timeout 5000 "$@" |
    awk '/receiver/ { print $7 }'
}

probe() {
  . /run/flannel/subnet.env
  wait_for 30 in_container ping -n -c 1 -W 1 "$1"
  largest=$((FLANNEL_MTU - 28))
  in_container ping -n -c 5 -i 0.2 "$1" >/tmp/ping || true
  echo "ping=$(lost /tmp/ping)"
  in_container ping -n -c 3 -i 0.2 -M "do" -s $largest "$1" >/tmp/ping || true
  echo "largest=$(lost /tmp/ping)"
  if in_container ping -n -c 1 -W 1 -M "do" -s $((largest + 1)) "$1" >/tmp/ping 2>&1; then
    echo "larger=answered"
  else
    echo "larger=refused"
  fi
  in_container ping -n -c 3 -i 0.2 -s 4000 "$1" >/tmp/ping || true
  echo "fragments=$(lost /tmp/ping)"
  echo "tcp=$(megabits --client "$1")"
  echo "tcp_back=$(megabits --client "$1" --reverse)"
  echo "udp=$(megabits --client "$1" --udp --bitrate 2M --length 1000)"
  echo "udp_back=$(megabits --client "$1" --udp --bitrate 2M --length 1000 --reverse)"
}

life() {
  in_container ping -n -i 0.1 -c 100 "$1" >/tmp/life &
  pinging=$!
  sleep 2
  arguments=$(tr '\0' '\n' <"/proc/$(cat /tmp/loden.pid)/cmdline" | grep -E '^--(datapath|ebpf-receive)=')
  kill -9 "$(cat /tmp/loden.pid)"
  sleep 1
  # shellcheck disable=SC2086 # two words
  start_agent $arguments
  wait $pinging || true
  echo "life=$(lost /tmp/life)"
}

cleanup() {
  kill "$(cat /tmp/loden.pid)"
  wait_for 20 sh -c "! kill -0 $(cat /tmp/loden.pid)"
  "$LODEN" cleanup
  echo "left=$({
    ip -o link show | grep -o 'flannel[^:@]*' || true
    ip route show table all | grep '^10\.1\.0\.0/16' || true
    bpftool prog show 2>/dev/null | grep -o 'name loden_[a-z]*' || true
  } | tr '\n' ' ')"
}

"$@"
