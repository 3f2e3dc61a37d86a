#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb: remove or upgrade; rpm: the number of versions that will be left. Only the
# agent ends, with its guard of the ports, and only for good: Cassandra goes on, and
# ports that are closed stay closed.
set -eu
root=${DPKG_ROOT:-}

case "${1:-}" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d "$root/run/systemd/system" ]; then
	systemctl disable --now cassandra-supervisor.service cassandra-supervisor-ports.service ||
		echo "cassandra-supervisor: the agent was not stopped" >&2
	supervisor port-guard forget || echo "cassandra-supervisor: rules for ports were left as they are, and do not stand again after a boot" >&2
fi
if [ -e "$root/var/lib/cassandra-supervisor/state.json" ]; then
	echo "cassandra-supervisor: from now on Cassandra starts without the gate, also where this host remembers" \
		"a fence or a return that is not finished; /var/lib/cassandra-supervisor is kept"
fi
