#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# package.sh DIRECTORY: builds the deb and the rpm there, of bin/supervisor and of
# what it says of itself: completions and man pages. The same commit gives the
# same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
tags=${TAGS:-grpcnotrace}
export CGO_ENABLED=0 LC_ALL=C

# Every date in the packages is the commit's. Versions grow with the commits until
# there is a first release.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
VERSION=${VERSION:-0.1.0~$(git rev-list --count HEAD).g$(git rev-parse --short=12 HEAD)}
ARCH=$(go env GOARCH)
export SOURCE_DATE_EPOCH VERSION ARCH
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

cp -r bin/supervisor deploy/package/. deploy/examples docs/hosts.md docs/power.md CHANGELOG.md NOTICE LICENSE "$stage/"
for shell in bash zsh fish; do
	bin/supervisor completion $shell >"$stage/completion.$shell"
done
go run -tags "$tags,manpages" ./cmd/supervisor man "$stage/man"
gzip -9n "$stage"/man/*.1
scripts/notice.sh texts | gzip -9n >"$stage/licences.gz"

mkdir -p "$out"
out=$(cd "$out" && pwd)
nfpm=$(go tool -modfile=tools/go.mod -n nfpm)
cd "$stage"
for kind in deb rpm; do
	"$nfpm" package --packager $kind --target "$out/"
done
