#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb: configure [OLD VERSION]; rpm: the number of versions that are installed.
# Cassandra goes on: its unit is only read anew. An agent that runs is started
# again, and so is its guard of the ports, which changes nothing either; one that
# does not is left so.
set -eu
root=${DPKG_ROOT:-}

upgrade=no
case "${1:-}" in
configure) if [ -n "${2:-}" ]; then upgrade=yes; fi ;;
1) ;;
2) upgrade=yes ;;
*) exit 0 ;;
esac

# A systemd that does not answer is no reason to leave the package half installed.
tell() {
	systemctl "$@" || echo "cassandra-supervisor: systemctl $* failed" >&2
}

systemd-sysusers --root="${root:-/}" cassandra-supervisor.conf
if [ -d "$root/run/systemd/system" ]; then
	tell daemon-reload
	if [ $upgrade = yes ]; then tell try-restart cassandra-supervisor-ports.service cassandra-supervisor.service; fi
fi
if [ ! -e "$root/etc/cassandra-supervisor/agent.yaml" ]; then
	echo "cassandra-supervisor: nothing is watched yet; /usr/share/doc/cassandra-supervisor/hosts.md goes through it"
fi
