#!/bin/sh
# Runs inside the new root file system, after the packages were installed.
set -eu

# Debian's units of the OpenStack services want a database, a queue and a Keystone beside them on the same node. Here
# these stand on nodes of their own: masked, they start where a role unmasks them, and nowhere else.
systemctl --quiet mask mariadb.service rabbitmq-server.service keystone.service epmd.socket
