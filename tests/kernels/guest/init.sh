#!/bin/sh
# Process 1 of a virtual machine: makes a small system, then runs what its control
# port says. A job is a line `run ID BASE64`, a shell script. Its output comes back
# as it is written, in lines that begin with `+`; its end is a line `= ID CODE`.
# With `guest.systemd` on the kernel's command line, systemd becomes process 1 and
# starts this once more, as guest.service.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root DENO_DIR=/opt/deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1 CI=true
if [ $$ -eq 1 ]; then
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t tmpfs tmpfs /tmp
  mkdir -p /dev/pts /dev/shm /dev/net /run/netns
  mount -t devpts devpts /dev/pts
  mount -t tmpfs tmpfs /dev/shm
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mount -t bpf bpf /sys/fs/bpf 2>/dev/null
  # Nothing here waits for a device to ask for its driver.
  for module in tun veth bridge vxlan sch_ingress cls_bpf virtio_net e1000e igb vmxnet3 \
    nf_tables nft_compat nft_chain_nat ip_tables iptable_nat iptable_filter; do
    modprobe --quiet "$module"
  done
  [ -c /dev/net/tun ] || mknod /dev/net/tun c 10 200
  ip link set lo up
  echo guest >/proc/sys/kernel/hostname
  if grep -q -w guest.systemd /proc/cmdline; then
    exec /usr/lib/systemd/systemd --unit=guest.service
  fi
fi
exec 3<>"$(echo /dev/vport*p1)"
echo "ready $(uname -r)" >&3
while read -r word id script <&3; do
  case $word in
  run)
    echo "$script" | base64 --decode >"/tmp/job-$id"
    {
      sh "/tmp/job-$id" </dev/null 2>&1
      echo $? >"/tmp/code-$id"
    } | sed --unbuffered 's/^/+/' >&3
    echo "= $id $(cat "/tmp/code-$id")" >&3
    ;;
  off) break ;;
  esac
done
sync
exec busybox poweroff -f
