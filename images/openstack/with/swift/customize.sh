#!/bin/sh
# Runs inside the new root file system, after the packages were installed.
set -eu

# Swift's packages bring rsyslog. Swift writes to /dev/log, which the journal reads already.
systemctl --quiet mask rsyslog.service
