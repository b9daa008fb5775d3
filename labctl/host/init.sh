#!/bin/sh
# Process 1 of a private host, in new namespaces; started by labctl/host/private.py, which puts a copy into the
# state folder. Arguments: the phase. Environment: LABCTL_HOST (state folder), LABCTL_KVM (yes or no).
set -eu
cd "$LABCTL_HOST"
run=/run/libvirt

# Makes the private view of files and network, then becomes tini, which reaps what the daemons leave.
phase_mount() {
    umask 022
    mount -t proc proc /proc
    # The machine's sysfs shows the network devices of another namespace. Without its cgroups libvirt makes none.
    umount --lazy /sys 2>/dev/null || true
    mount -t sysfs sysfs /sys
    # Nothing of the machine's /run: no system bus, no lock of another's iptables. The state folder may be in it,
    # so every path from here on is relative to it, and the mount program must not make it absolute.
    mount -t tmpfs -o mode=0755 tmpfs /run
    mkdir /run/libvirt /run/lock
    mount --no-canonicalize --bind run /run/libvirt
    mount --no-canonicalize --bind etc /etc/libvirt
    mount --no-canonicalize --bind lib /var/lib/libvirt
    mount --no-canonicalize --bind cache /var/cache/libvirt
    mount --no-canonicalize --bind log /var/log/libvirt
    if [ -e /etc/resolv.conf ]; then
        mount --bind /dev/null /etc/resolv.conf
    fi
    phase_kvm
    ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    # An address answers on its own bridge only, and a bridge without IPv6 addresses has no IPv6 at all.
    echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
    echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || true
    # Frames between guests of one bridge are no business of the firewall.
    for table in /proc/sys/net/bridge/bridge-nf-call-*; do
        [ ! -e "$table" ] || echo 0 >"$table"
    done
    nft -f firewall.nft
    phase_iptables
    # The lock that says "being started" is inherited from labctl; it ends here.
    exec 9>&-
    exec tini -- /bin/sh init.sh supervise
}

# libvirt asks QEMU for its abilities anew at every start while /dev/kvm is there and its user cannot use it.
phase_kvm() {
    [ -e /dev/kvm ] || return 0
    if [ "$LABCTL_KVM" = yes ]; then
        # A device file of the host's own: the machine's keeps its owner. Where none may be made, the machine's serves.
        mknod -m 0660 /run/kvm c 10 232 || return 0
        chown root:kvm /run/kvm
    else
        : >/run/kvm
        chmod 0000 /run/kvm
    fi
    mount --bind /run/kvm /dev/kvm
}

# libvirt calls iptables 19 times to start a NAT network, each call reading all rules there are: most of the time that
# a network takes to start and to stop. firewall.nft says all of it already, for every bridge of a lab, so libvirt
# talks to a stand-in; but for the one rule that nftables cannot say: DHCP answers get their checksum filled in, for
# clients that read the raw packet.
phase_iptables() {
    iptables -w -t mangle -A POSTROUTING -o lab+ -p udp --dport 68 -j CHECKSUM --checksum-fill ||
        echo 'This kernel cannot fill in checksums of DHCP answers; very old guests may refuse them.'
    printf '#!/bin/sh\nexit 0\n' >/run/iptables
    chmod 0755 /run/iptables
    for program in iptables ip6tables; do
        mount --bind /run/iptables "$(readlink -f "$(command -v "$program")")"
    done
}

# Keeps a daemon running until the host stops.
keep() {
    while [ ! -e "$run/stopping" ]; do
        "$@" || true
        [ -e "$run/stopping" ] || sleep 0.5
    done
}

phase_supervise() {
    ulimit -S -n 8192 2>/dev/null || true
    trap stop TERM INT
    # libvirtd opens a connection to virtlogd at a guest's start, so virtlogd comes first.
    keep virtlogd --pid-file "$run/virtlogd.pid" &
    keep libvirtd --pid-file "$run/libvirtd.pid" &
    while :; do
        wait || true
    done
}

# libvirtd first, so that it does not take part; then every guest gets the signal at which QEMU writes its disks.
stop() {
    trap '' TERM INT
    : >"$run/stopping"
    kill "$(cat "$run/libvirtd.pid")" 2>/dev/null || true
    tries=0
    while [ -e "$run/libvirtd.pid" ] && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -TERM -1 2>/dev/null || true
    tries=0
    while others && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    exit 0
}

# Whether a process other than tini and this shell is alive.
others() {
    for stat in /proc/[0-9]*/stat; do
        read -r pid _ state _ <"$stat" 2>/dev/null || continue
        [ "$pid" = 1 ] || [ "$pid" = $$ ] || [ "$state" = Z ] || return 0
    done
    return 1
}

"phase_$1"
