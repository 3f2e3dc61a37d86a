#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The tests on real Cassandra processes: the demo and its load, the built
# binary from outside, and the clients of one running cluster, which is ended
# here whatever happens.
set -euo pipefail
cd "$(dirname "$0")/.."
tags=${TAGS:-grpcnotrace}

# Of `make kills` only one point of each story.
echo "real: demo, load, both halves of a run, a killed leader; each brings up its own cluster"
go test -tags "$tags,real" -count=1 -p 1 -timeout 40m -v ./internal/demo/...

echo "real: the binary from outside"
go test -tags "$tags,real" -count=1 -p 1 -timeout 20m -v ./e2e/...

echo "real: admin interface, CQL and probe on one running cluster"
base=$(mktemp -d)
end() {
	bin/supervisor demo down --dir "$base/d" || true
	rmdir "$base" 2>/dev/null || true
}
trap end EXIT
bin/supervisor demo up --dir "$base/d" --net 127.0.46
SUPERVISOR_DEMO_JSON="$base/d/demo.json" \
	go test -tags "$tags,cassandra" -count=1 -p 1 -timeout 15m -v -run 'Real' ./internal/cassandra ./membership/probe
