#!/bin/sh
# Runs inside the new root file system, after the overlay was copied over it.
set -eu

# Seeded machines: what must be unique is made at the first boot.
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_* /etc/hostname
passwd --quiet --lock root

printf 'LANG=C.UTF-8\n' > /etc/default/locale
printf '# The kernel command line mounts the root file system.\n' > /etc/fstab
ln -sf ../run/labctl-resolv.conf /etc/resolv.conf
printf 'DAEMON_OPTS=""\n' > /etc/default/chrony

# SSH sessions without a systemd session of their own: starting its manager costs as much as the handshake.
pam-auth-update --package --remove systemd
sed -i '/pam_motd.so\|pam_mail.so\|pam_selinux.so\|pam_keyinit.so/d' /etc/pam.d/sshd

# Units that a node does not need, that would wait for the internet, or that redo at each boot what holds already.
systemctl --quiet set-default multi-user.target
systemctl --quiet enable systemd-networkd.service labctl-resolv.path ssh.service serial-getty@ttyS0.service
systemctl --quiet disable getty@tty1.service
systemctl --quiet mask \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service \
    systemd-networkd-wait-online.service systemd-networkd-persistent-storage.service \
    systemd-network-generator.service systemd-timesyncd.service systemd-pstore.service grub-common.service \
    systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-journal-flush.service \
    systemd-update-done.service systemd-sysusers.service systemd-firstboot.service ldconfig.service \
    systemd-random-seed.service systemd-remount-fs.service systemd-user-sessions.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount run-lock.mount tmp.mount \
    systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service kmod-static-nodes.service \
    systemd-udev-load-credentials.service modprobe@drm.service modprobe@.service systemd-hibernate-clear.service \
    systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pcrmachine.service \
    systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pcrextend.socket systemd-pcrlock.socket \
    systemd-creds.socket systemd-sysext.socket systemd-initctl.socket systemd-hostnamed.socket \
    systemd-ask-password-wall.path systemd-ask-password-console.path \
    cloud-init-hotplugd.socket cloud-init-main.service cloud-init-network.service cloud-config.service
mkdir -p /etc/systemd/system-generators /etc/tmpfiles.d
for generator in systemd-debug systemd-getty systemd-gpt-auto systemd-hibernate-resume systemd-rc-local \
    systemd-run systemd-ssh systemd-system-update systemd-sysv systemd-tpm2 cloud-init; do
    ln -sf /dev/null /etc/systemd/system-generators/$generator-generator
done
ln -sf /dev/null /etc/tmpfiles.d/systemd-nologin.conf
# What kmod-static-nodes.service works out at each boot.
awk '$1 !~ /^#/ { split(substr($3, 2), n, ":"); print substr($3, 1, 1) "! /dev/" $2 " 0600 - - - " n[1] ":" n[2] }' \
    /usr/lib/modules/*/modules.devname > /etc/tmpfiles.d/static-nodes.conf
rm -f /etc/modules-load.d/modules.conf
systemctl --quiet add-wants multi-user.target cloud-init.target
systemctl --quiet add-wants sysinit.target cloud-init-local.service
touch /etc/.updated /var/.updated

kernel=$(basename /usr/lib/modules/*)
mktirfs -o "/boot/initrd.img-$kernel" "$kernel"
rm -f /initrd.img.old /vmlinuz.old
# The boot loader may put a relocatable kernel anywhere, which then moves and relocates itself: two CPU seconds of an
# emulated boot. This clears relocatable_kernel (0x234) in its header; see Documentation/arch/x86/boot.rst.
printf '\0' | dd of="/boot/vmlinuz-$kernel" bs=1 seek=564 conv=notrunc status=none
