#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints NOTICE: every module that is linked into bin/supervisor, with its
# version, its licence and whose it is, and what those modules ask to be
# passed on. Fails when it cannot tell a licence. `make notice` keeps what it prints.
# `notice.sh texts` prints the licences themselves, which go with every binary.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

modules() {
	GOFLAGS=-mod=readonly CGO_ENABLED=0 go list -deps -tags "${TAGS:-grpcnotrace}" \
		-f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/supervisor | sort -u
}

# licence names the licence in a module's folder by words that only it has.
licence() {
	local file=$1
	if grep -qi 'Mozilla Public License' "$file"; then
		echo MPL-2.0
	elif grep -qi 'Apache License' "$file"; then
		echo Apache-2.0
	elif grep -q 'Permission is hereby granted, free of charge' "$file"; then
		echo MIT
	elif grep -q 'Redistribution and use in source and binary forms' "$file"; then
		if grep -Eqi 'neither the name|may not be used to endorse|nor the names' "$file"; then
			echo BSD-3-Clause
		else
			echo BSD-2-Clause
		fi
	else
		echo "notice: no known licence in $file" >&2
		return 1
	fi
}

# owner is the first line that says whose it is; the text of a licence itself
# has such words in it too.
owner() {
	(grep -hE '^[[:space:]#*/]*(Copyright|COPYRIGHT|Portions copyright)[^a-z]*(\(c\)|©|[0-9]{4})' "$@" || true) |
		(grep -vE '\[yyyy\]|\{yyyy\}|YEAR' || true) | sed -n 1p | tr -d '\r' | sed -E 's/^[[:space:]#*\/]+//; s/[[:space:]]+$//'
}

# texts prints every file of a module that its licence wants passed on.
texts() {
	local file
	printf '==== The Go standard library and runtime\n\n'
	cat "$(go env GOROOT)/LICENSE"
	while read -r path version dir; do
		find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copyright*' -o -iname 'notice*' \) | sort |
			while read -r file; do
				printf '\n==== %s %s, %s\n\n' "$path" "$version" "${file##*/}"
				tr -d '\r' <"$file"
			done
	done < <(modules)
}
if [ "${1:-}" = texts ]; then
	texts
	exit 0
fi

cat <<'EOF'
supervisor
Licensed under the Apache License, Version 2.0; see LICENSE.

The program links the modules below. Each is under the licence named with it;
the texts are in the modules themselves, and go with every binary that is
passed on.

The Go standard library and runtime: BSD-3-Clause, The Go Authors.

EOF

list=$(modules)
while read -r path version dir; do
	file=$(find "$dir" -maxdepth 1 -type f -iname 'licen[cs]e*' | sort | head -n 1)
	[ -n "$file" ] || { echo "notice: $path has no licence file" >&2; exit 1; }
	name=$(licence "$file")
	mapfile -t all < <(find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copyright*' -o -iname 'notice*' \) | sort)
	whose=$(owner "${all[@]}")
	printf '%s %s: %s\n' "$path" "$version" "$name"
	if [ -n "$whose" ]; then printf '    %s\n' "$whose"; fi
done <<<"$list"

echo
echo "What these modules ask to be passed on:"
while read -r path _ dir; do
	for file in "$dir"/NOTICE*; do
		[ -f "$file" ] || continue
		printf '\n---- %s\n' "$path"
		tr -d '\r' <"$file" | sed -E 's/[[:space:]]+$//; s/^/    /; s/^ +$//'
	done
done <<<"$list"
