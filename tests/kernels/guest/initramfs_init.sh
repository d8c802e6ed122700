#!/bin/busybox sh
# The first process: mounts the disks and hands over to the root file system.
# /dev/vda is the root, read only, under an overlay in memory; /dev/vdb has the
# kernel's modules, /dev/vdc the project.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
while read -r module; do
  # One that is loaded already, or that this processor does without.
  $B insmod "/$module" 2>/dev/null
done </modules
tries=0
while [ ! -b /dev/vdc ] && [ $tries -lt 200 ]; do
  $B sleep 0.05
  tries=$((tries + 1))
done
$B mount -t ext4 -o ro,noload /dev/vda /lower || $B poweroff -f
$B mount -t tmpfs -o size=80% tmpfs /upper
$B mkdir /upper/upper /upper/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/upper,workdir=/upper/work overlay /new
$B mkdir -p /new/usr/lib/modules
$B mount -t ext4 -o ro,noload /dev/vdb /new/usr/lib/modules
$B mount -t ext4 -o ro,noload /dev/vdc /new/opt/loden
$B umount /proc /sys
$B mount --move /dev /new/dev
exec $B switch_root /new /usr/local/sbin/guest-init
