#!/bin/sh
# One of two hosts on one cable, as the runner asks for it by words:
#
#   up N QUEUES [FEATURE]  host N (1 or 2) gets its address; host 1 runs etcd;
#                          the card runs without an offload
#   agent N DATAPATH MODE  starts the agent, or replaces the one that runs
#   probe PEER-CONTAINER   sends to a container of the other host
#   flows PEER-CONTAINER   sends 16 flows there
#   interrupts             says how many each receive queue of a virtio card had
#   life PEER-CONTAINER    kills and starts the agent under a ping
#   reset PEER-CONTAINER   takes the card's link away, and its rings
#   watch PEER-CONTAINER   begins a ping; watched ends it
#   unplug                 comes before the card goes, unplugged after it
#   plugged N PEER-CONT.   gives the new card the address of the old one
#   counters PEER-CONT.    compares the agent's counters with what was sent
#   listen                 begins loden monitor
#   stray N                sends host N what it must drop
#   view CONTAINER PEER-C. says what loden explain and loden monitor show
#   cleanup                stops the agent and removes what is left
#
# A result is a line `name=value`; a failure ends with another code than 0. If the
# project has a Debian package in dist/, that is installed, and the agent is its
# unit's.
set -eu
ETCD=http://192.0.2.11:2379
PACKAGE=$(echo /opt/loden/dist/loden_*.deb)
LODEN=/opt/loden/dist/loden
[ ! -e "$PACKAGE" ] || LODEN=/usr/bin/loden

wait_for() { # SECONDS COMMAND...
  tries=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || give_up "$@"
    sleep 0.2
  done
}

give_up() { # COMMAND...
  echo "no success in time: $*"
  [ ! -e "$PACKAGE" ] || journalctl --no-pager --lines=20 --unit=loden
  tail -n 20 /tmp/loden.log /tmp/etcd.log 2>/dev/null || true
  exit 1
}

start_agent() {
  if [ -e "$PACKAGE" ]; then
    {
      echo "FLANNELD_DATAPATH=${1#*=}"
      echo "FLANNELD_EBPF_RECEIVE=${2#*=}"
    } >>/etc/default/loden
    # It returns when the agent is ready.
    timeout 120 systemctl start loden || give_up systemctl start loden
    return
  fi
  : >/tmp/loden.log
  setsid "$LODEN" --etcd-endpoints="$ETCD" --iface=eth0 "$@" \
    >>/tmp/loden.log 2>&1 </dev/null &
  echo $! >/tmp/loden.pid
  # Another Loden that asks would take the processor that this one needs.
  wait_for 120 grep -q event=agent.ready /tmp/loden.log
}

stop_agent() {
  if [ -e "$PACKAGE" ]; then
    systemctl stop loden
    return
  fi
  [ -s /tmp/loden.pid ] || return 0
  kill "$(cat /tmp/loden.pid)" 2>/dev/null || true
  wait_for 20 sh -c "! kill -0 $(cat /tmp/loden.pid)"
}

install_package() {
  dpkg --install "$PACKAGE"
  {
    echo "FLANNELD_ETCD_ENDPOINTS=$ETCD"
    echo "FLANNELD_IFACE=eth0"
  } >>/etc/default/loden
}

up() {
  wait_for 20 ip link show eth0
  if [ "$2" -gt 1 ]; then
    # A machine with one processor takes one queue by itself.
    ethtool -L eth0 combined "$2"
  fi
  [ -z "${3-}" ] || ethtool -K eth0 "$3" off
  ip address add "192.0.2.1$1/24" dev eth0
  ip link set eth0 up
  # As Docker does.
  echo 1 >/proc/sys/net/ipv4/ip_forward
  [ ! -e "$PACKAGE" ] || install_package
  [ "$1" = 1 ] || return 0
  setsid etcd --data-dir /tmp/etcd --listen-client-urls "$ETCD" \
    --advertise-client-urls "$ETCD" >/tmp/etcd.log 2>&1 </dev/null &
  wait_for 60 etcdctl --endpoints="$ETCD" endpoint health
  "$LODEN" config put --etcd-endpoints="$ETCD" '{ "Network": "10.1.0.0/16" }'
}

agent() {
  stop_agent
  # Attaching XDP sets up the rings of many cards: what does the host lose?
  ping -n -D -i 0.1 "192.0.2.1$((3 - $1))" >/tmp/underlay &
  pinging=$!
  start_agent "--datapath=$2" "--ebpf-receive=$3"
  end_ping $pinging
  echo "attach_lost=$(missing /tmp/underlay)"
  echo "attach_gap=$(longest_gap /tmp/underlay)"
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
  [ "$1" = 1 ] || return 0
  # An agent that has just started may be too slow for the first question.
  wait_for 60 sh -c "'$LODEN' status --json >/tmp/status"
  # Peers have a data path as well, of which a lease may not know yet.
  echo "path=$(sed -n 's/.*"backend": *{[^{}]*"dataPath": *"\([a-z-]*\)".*/\1/p' /tmp/status)"
  echo "receive=$(sed -n 's/.*"receive on eth0": *"\([a-z]*\) by .*/\1/p' /tmp/status)"
  echo "attach=$(sed -n 's/.*"receive on eth0": *"[a-z]* by \([^:]*\):.*/\1/p' /tmp/status)"
  echo "reason=$(sed -n 's/.*"receive on eth0": *"[^:]*: \(.*\)",*$/\1/p' /tmp/status)"
}

# The share of its packets that a ping lost, in percent.
lost() { sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$1"; }

# The next two read what `ping -D` printed. What it sent last may have had no
# time to come back, so only what lies between two answers counts.

# How many answers are missing.
missing() {
  awk 'match($0, /icmp_seq=[0-9]+/) && /bytes from/ {
    sequence = substr($0, RSTART + 9, RLENGTH - 9) + 0
    if (answers++ == 0) first = sequence
    if (sequence > last) last = sequence
  } END { print answers == 0 ? "all" : last - first + 1 - answers }' "$1"
}

# The longest time between two answers, in seconds.
longest_gap() {
  awk '/bytes from/ {
    at = substr($1, 2) + 0
    if (before > 0 && at - before > gap) gap = at - before
    before = at
  } END { if (before > 0) printf "%.1f", gap; else printf "all" }' "$1"
}

end_ping() {
  sleep 1
  kill -INT "$1"
  wait "$1" || true
}

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
  in_container ping -n -c 1 -W 1 -M "do" -s $((largest + 1)) "$1" >/tmp/ping 2>&1 || true
  if grep -q -i -E 'message too long|frag needed' /tmp/ping; then
    echo "larger=refused"
  else
    echo "larger=$(lost /tmp/ping) % lost"
  fi
  in_container ping -n -c 3 -i 0.2 -s 4000 "$1" >/tmp/ping || true
  echo "fragments=$(lost /tmp/ping)"
  echo "tcp=$(megabits --client "$1")"
  echo "tcp_back=$(megabits --client "$1" --reverse)"
  echo "udp=$(megabits --client "$1" --udp --bitrate 2M --length 1000)"
  echo "udp_back=$(megabits --client "$1" --udp --bitrate 2M --length 1000 --reverse)"
}

flows() {
  in_container iperf3 --client "$1" --udp --parallel 16 --bitrate 200K \
    --length 500 --time 3 --connect-timeout 5000 >/tmp/flows
}

interrupts() {
  echo "queues=$(awk '/virtio[0-9]+-input\.[0-9]+$/ { printf "%s ", $2 }' /proc/interrupts)"
}

life() {
  ip netns exec c ping -n -D -i 0.1 "$1" >/tmp/life &
  pinging=$!
  sleep 2
  if [ -e "$PACKAGE" ]; then
    systemctl kill --kill-whom=main --signal=KILL loden
    sleep 1
    # Its unit starts it.
    wait_for 120 systemctl is-active loden
  else
    pid=$(cat /tmp/loden.pid)
    arguments=$(tr '\0' '\n' <"/proc/$pid/cmdline" | grep -E '^--(datapath|ebpf-receive)=')
    kill -9 "$pid"
    sleep 1
    # shellcheck disable=SC2086 # two words
    start_agent $arguments
  fi
  end_ping $pinging
  echo "life=$(missing /tmp/life)"
  wait_for 30 in_container ping -n -c 1 -W 1 "$1"
  in_container ping -n -c 5 -i 0.2 "$1" >/tmp/ping || true
  echo "after_life=$(lost /tmp/ping)"
}

reset() {
  ip netns exec c ping -n -D -i 0.1 "$1" >/tmp/reset &
  pinging=$!
  sleep 1
  ip link set eth0 down
  sleep 2
  ip link set eth0 up
  wait_for 30 in_container ping -n -c 1 -W 1 "$1"
  end_ping $pinging
  echo "down_gap=$(longest_gap /tmp/reset)"
  # The driver takes the card apart and puts it together again, as many do when
  # an XDP program is attached.
  ip netns exec c ping -n -D -i 0.1 "$1" >/tmp/reset &
  pinging=$!
  sleep 1
  size=$(ethtool -g eth0 2>/dev/null | awk '/^RX:/ { size = $2 } END { print size + 0 }')
  if [ "$size" -gt 64 ] && ethtool -G eth0 rx $((size / 2)) >/dev/null 2>&1; then
    wait_for 30 in_container ping -n -c 1 -W 1 "$1"
    end_ping $pinging
    echo "rings_gap=$(longest_gap /tmp/reset)"
    ethtool -G eth0 rx "$size"
  else
    end_ping $pinging
    echo "rings_gap=refused"
  fi
  wait_for 30 in_container ping -n -c 1 -W 1 "$1"
}

# Loden's programs and maps in the kernel: `kept` are an XDP program and its
# maps, `left` all others.
bpf_objects() {
  { bpftool prog show && echo && bpftool map show; } 2>/dev/null | awk '
    /^$/ { maps = 1 }
    /^[0-9]+: / { own = !maps && $2 == "xdp" && $4 ~ /^loden_xdp/ }
    own && match($0, /map_ids [0-9,]+/) {
      count = split(substr($0, RSTART + 8, RLENGTH - 8), ids, ",")
      for (i = 1; i <= count; i++) held[ids[i] ":"] = 1
    }
    /^[0-9]+: / && $4 ~ /^loden_/ { print own || maps && $1 in held ? "kept" : "left", $4 }'
}

kept() { bpf_objects | sed -n 's/^kept //p' | sort -u | tr '\n' ' '; }

# What the agent has logged since the card went.
replug_log() { tail -n "+$(($(cat /tmp/log-lines) + 1))" /tmp/loden.log; }

said() { replug_log | grep -q "event=$1"; }

programs() { bpftool prog show 2>/dev/null | grep -c 'name loden_' || true; }

watch() {
  setsid ip netns exec c ping -n -D -i 0.1 "$1" >/tmp/watch 2>&1 </dev/null &
  echo $! >/tmp/watch.pid
}

watched() {
  wait_for 60 in_container ping -n -c 1 -W 1 "$1"
  sleep 1
  kill -INT "$(cat /tmp/watch.pid)"
  echo "replug_gap=$(longest_gap /tmp/watch)"
}

unplug() {
  programs >/tmp/programs
  wc -l </tmp/loden.log >/tmp/log-lines
}

unplugged() {
  wait_for 30 sh -c '! ip link show eth0'
  sleep 2
}

plugged() {
  wait_for 30 ip link show eth0
  start=$(date +%s%N)
  ip address add "192.0.2.1$1/24" dev eth0
  ip link set eth0 up
  wait_for 60 in_container ping -n -c 1 -W 1 "$2"
  echo "replug_back=$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $start) / 1e9 }")"
  wait_for 30 said underlay.lost
  wait_for 30 said underlay.changed
  replug_log
  tries=20
  while [ "$(programs)" != "$(cat /tmp/programs)" ] && [ $tries -gt 0 ]; do
    sleep 0.5
    tries=$((tries - 1))
  done
  [ "$(programs)" = "$(cat /tmp/programs)" ] && echo "replug_left=nothing" ||
    echo "replug_left=$(programs) programs where $(cat /tmp/programs) were"
}

# Packets there and back, by the status and by the metrics. An answer of the agent
# is up to ten seconds old.
counted() {
  sleep 11
  "$LODEN" status --json | grep -o '"[rt]x\.packets":[0-9]*' | sed 's/.*://'
  "$LODEN" metrics | awk '/^loden_packets_total/ { print $2 }'
}

counters() {
  echo "possible=$(cat /sys/devices/system/cpu/possible)"
  counted >/tmp/before
  in_container ping -n -q -c 200 -i 0.01 "$1" >/tmp/ping
  counted >/tmp/after
  # The agents probe each other meanwhile.
  paste /tmp/before /tmp/after | awk '
    $2 - $1 < 200 || $2 - $1 > 300 { wrong = 1 } { text = text " " $2 - $1 }
    END { print NR == 4 && !wrong ? "counted=all" : "counted=of 200" text }'
}

listen() {
  setsid "$LODEN" monitor >/tmp/monitor 2>&1 </dev/null &
  echo $! >/tmp/monitor.pid
  wait_for 60 grep -q '^[^ ]* *from' /tmp/monitor
}

stray() { bash -c "echo stray >/dev/udp/192.0.2.1$1/8285"; }

view() {
  mount -t securityfs securityfs /sys/kernel/security 2>/dev/null || true
  echo "lockdown=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/security/lockdown)"
  code=0
  "$LODEN" explain "$1" "$2" >/tmp/explain 2>&1 || code=$?
  # 8: the other agent's answer came too late on this slow machine.
  [ $code -ne 8 ] || code=0
  echo "explain=$code"
  wait_for 20 grep -q ' drop ' /tmp/monitor
  kill "$(cat /tmp/monitor.pid)"
  echo "monitor=$(awk '$2 == "drop" { print $3; exit }' /tmp/monitor)"
  sed 's/^/  /' /tmp/explain /tmp/monitor
}

left() {
  {
    ip -o link show | grep -o 'flannel[^:@]*' || true
    ip link show eth0 | grep -o 'prog/xdp' || true
    tc qdisc show dev eth0 | grep -o clsact || true
    ip route show table all | grep '^10\.1\.0\.0/16' || true
    bpf_objects | sed -n 's/^left //p'
    { iptables-save || true; nft list ruleset || true; } 2>/dev/null | grep -o -i 'flannel[^ ]*' || true
  } | sort -u | tr '\n' ' '
}

cleanup() {
  stop_agent
  if [ -e "$PACKAGE" ]; then
    dpkg --purge loden
  else
    "$LODEN" cleanup
  fi
  # The kernel frees programs a moment later.
  tries=20
  while [ -n "$(left)" ] && [ $tries -gt 0 ]; do
    sleep 0.5
    tries=$((tries - 1))
  done
  tries=10
  while [ -n "$(kept)" ] && [ $tries -gt 0 ]; do
    sleep 0.5
    tries=$((tries - 1))
  done
  echo "left=$(left)"
  echo "kept=$(kept)"
  [ -z "$(kept)" ] || deno run --allow-all --cached-only --no-check \
    /opt/loden/tests/kernels/guest/driver_forgets_xdp.ts
}

"$@"
