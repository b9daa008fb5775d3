#!/bin/sh
# Runs nodes' disks as containers, in new namespaces; started by labctl/host/containers.py. Argument: a folder with
#   networks  a line each: NAME
#   nodes     a line each: NAME DISK (a qcow2 file, commas in its path twice, as QEMU's options want them)
#   cards     a line each: NODE CARD NETWORK [ADDRESS/PREFIX]
#   medium    optional: a file system that every container sees at /media/labctl
# Ends when all containers have; whatever is left dies with the process namespace.
set -eu
umask 022
cd "$1"
id=$2
offset=1048576 # of the disks' only partition

ip link set lo up
here=$(pwd | sed 's/,/,,/g')
# Programs of the machine see none of this: mounts, /run/netns and devices are this namespace's own.
mount -t tmpfs -o mode=0755 tmpfs /run
control=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$control" ] || { echo 'This machine has no cgroup2 file system.'; exit 1; }

while read -r network; do
    ip link add "br-$network" type bridge
    ip link set "br-$network" up
done <networks

if [ -e medium ]; then
    mkdir /run/medium
    mount -o loop,ro medium /run/medium
fi

while read -r node disk; do
    ip netns add "$node"
    ip -n "$node" link set lo up
    mkdir "$node"
    : >"$node.raw"
    qemu-storage-daemon --blockdev "driver=file,node-name=file,filename=$disk" \
        --blockdev "driver=qcow2,node-name=disk,file=file,discard=unmap" \
        --export "type=fuse,id=export,node-name=disk,mountpoint=$here/$node.raw,writable=on" &
    echo $! >"$node.storage"
done <nodes

number=0
while read -r node card network address; do
    number=$((number + 1))
    ip link add "v$number" type veth peer name "$card" netns "$node"
    ip link set "v$number" master "br-$network" up
    [ -z "$address" ] || ip -n "$node" address add "$address" dev "$card"
    ip -n "$node" link set "$card" up
done <cards

while read -r node disk; do
    tries=0
    until [ "$(stat -c %s "$node.raw")" -gt 0 ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "The disk of $node cannot be read."; exit 1; }
        sleep 0.05
    done
    mount -o "loop,offset=$offset" "$node.raw" "$node"
    mkdir -p "$node/media/labctl" "$control/labctl-$id-$node"
    bind=
    [ ! -e medium ] || bind=--bind-ro=/run/medium:/media/labctl
    # systemd as process 1, up to basic.target: what a node starts by itself would look for the node's own hardware.
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$control/labctl-$id-$node" \
        systemd-nspawn --quiet --register=no --keep-unit --machine="$node" --directory="$node" $bind \
        --network-namespace-path="/run/netns/$node" --resolv-conf=off --timezone=off --link-journal=no \
        --console=pipe --kill-signal=SIGRTMIN+3 --boot systemd.unit=basic.target "labctl.container=$id/$node" \
        </dev/null &
    echo $! >"$node.container"
done <nodes

while read -r node disk; do
    wait "$(cat "$node.container")" || true
done <nodes

code=0
while read -r node disk; do
    umount "$node" || code=1
    kill "$(cat "$node.storage")"
    wait "$(cat "$node.storage")" || code=1
done <nodes
exit "$code"
