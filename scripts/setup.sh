#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what the demo and the tests need and this machine lacks, by apt, when
# it may (root, or sudo without a password). Else it prints the one line to run
# and ends with 1.
set -euo pipefail

missing=()
has_java17() {
	local java
	for java in "${JAVA_HOME:-/nowhere}/bin/java" /usr/lib/jvm/*17*/bin/java "$(command -v java || true)"; do
		if [ -x "$java" ] && "$java" -version 2>&1 | grep -q 'version "17[."]'; then return 0; fi
	done
	return 1
}
has_java17 || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v haproxy >/dev/null || missing+=(haproxy)
# The store's contract is held on Debian's etcd too, and the packages are looked
# into, rules are made between network namespaces, a systemd has a bus of its own;
# a demo does without.
if [ "${1:-}" = tests ]; then
	PATH=$PATH:/usr/sbin:/sbin # where people who are not root have no programs
	command -v etcd >/dev/null || missing+=(etcd-server)
	command -v rpm >/dev/null || missing+=(rpm)
	command -v systemd-analyze >/dev/null || missing+=(systemd)
	command -v nft >/dev/null || missing+=(nftables)
	command -v ip >/dev/null || missing+=(iproute2)
	command -v dbus-daemon >/dev/null || missing+=(dbus-daemon)
fi

# Hosts in containers are made of Debian's packages.
if [ "${1:-}" = hosts ]; then
	for tool in debootstrap:debootstrap dockerd:docker.io docker:docker.io tar:tar; do
		command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
	done
fi

if [ ${#missing[@]} -eq 0 ]; then
	echo "tools: java 17, maven, haproxy found"
	exit 0
fi

line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]} (names of Debian packages); this machine has no apt-get" >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	as_root=(bash -c)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root=(sudo -n bash -c)
else
	echo "missing: ${missing[*]}; run this, then try again:" >&2
	echo "  sudo bash -c '$line'" >&2
	exit 1
fi
echo "tools: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Runlevel 1: packages must not start services of their own.
if ! "${as_root[@]}" "export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; $line" >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	exit 1
fi
rm -f "$log"
exec "$0" "$@" # look again: what was installed must be what is needed
