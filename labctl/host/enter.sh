# Runs in the new namespaces of `labctl enter`; started by labctl/host/enter.py. Descriptor 3 brings the names.
# Arguments: the shell that the user gets.
set -eu
umount --lazy /sys 2>/dev/null || true
mount -t sysfs sysfs /sys
# The file needs a place that nobody else sees and that needs no cleaning up: the bind mount outlives its file system.
mount -t tmpfs -o mode=0755 tmpfs /tmp
(umask 022 && cat <&3 >/tmp/hosts)
exec 3<&-
mount --bind /tmp/hosts /etc/hosts
umount --lazy /tmp
# No name server can be reached from here: without any, unknown names fail at once.
[ ! -e /etc/resolv.conf ] || mount --bind /dev/null /etc/resolv.conf
exec tini -- "$@"
