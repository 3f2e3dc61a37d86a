#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb: remove, purge or upgrade; rpm: the number of versions that are left. The
# gate's drop-in is gone, and systemd is told. What the host remembers of its node
# is kept, also by a purge: nobody else may know it.
set -eu
root=${DPKG_ROOT:-}

case "${1:-}" in
remove | 0)
	if [ -d "$root/run/systemd/system" ]; then systemctl daemon-reload || :; fi
	;;
esac
