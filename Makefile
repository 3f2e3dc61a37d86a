# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash
.DEFAULT_GOAL := build

# grpcnotrace leaves out golang.org/x/net/trace, and with it html/template.
TAGS  := grpcnotrace
DEMO  ?= $(CURDIR)/.demo
DETECT ?= $(CURDIR)/.detect
PAGE  ?= $(CURDIR)/README.md
export CGO_ENABLED := 0

.PHONY: alarms hosts hosts-tools package package-check ports-check unit-check build tools test-tools demo bench bench-repair bench-detect demo-up demo-down check sim sim-long real kills stops test notice lint clean help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## bin/supervisor
	go build -trimpath -tags $(TAGS) -o bin/supervisor ./cmd/supervisor

package: build ## the deb and the rpm, in dist
	TAGS=$(TAGS) scripts/package.sh dist

package-check: test-tools build ## what is in the packages, what they do to a host, how far their units are closed; as root
	go test -tags $(TAGS),packaged ./deploy/package -count=1 -v

ports-check: test-tools build ## real rules between network namespaces of its own; as root, half a minute
	go test -tags $(TAGS),netns ./isolate/nft -count=1 -parallel 12 -v

unit-check: test-tools ## Cassandra's unit on a real systemd of its own, as a user's session has; as root, a quarter of a minute
	go test -tags $(TAGS),systemd ./isolate/systemd -count=1 -v

tools: ## install what the demo needs and is missing, or say how
	scripts/setup.sh

test-tools: ## what the tests need besides
	scripts/setup.sh tests

demo: tools build ## break one node twice, without and with the supervisor, and compare; about 7 minutes
	bin/supervisor demo run --scenario outage

bench: tools build ## the simulator's rate; crashes and hangs, medians beside Cassandra's and HAProxy's own times; about 50 minutes
	go run -tags $(TAGS) ./cmd/simulate -nodes 12 -seeds 60 -for 2m -workers 1
	bin/supervisor demo run --scenario crash --runs 5
	bin/supervisor demo run --scenario hang --runs 2
	bin/supervisor demo run --scenario hang --runs 2 --stop-leader

bench-repair: tools build ## 1 % of 1,000,000 rows changed in an outage (ROWS=N): a return beside nodetool repair -full, time and bytes validated
	bin/supervisor demo repair --rows $(or $(ROWS),1000000)

# A half that failed is told in the table too; it goes into the page, and ends this with 1.
bench-detect: tools build ## seven faults beside Cassandra's, HAProxy's and memberlist's own word, N (20) of each twice, into PAGE (README.md); goes on in .detect (DETECT=folder); FAULTS=crash,hang; as root; N=20 takes about four hours
	bin/supervisor demo detect --dir $(DETECT) --runs $(or $(N),20) $(if $(FAULTS),--faults $(FAULTS)); measured=$$?; \
	if [ -n "$(PAGE)" ]; then bin/supervisor demo detect --dir $(DETECT) --page $(PAGE) || exit 1; fi; exit $$measured

demo-up: tools build ## a real cluster in .demo (DEMO=folder), until `make demo-down`
	bin/supervisor demo up --dir $(DEMO)

demo-down: build ## end it and remove what it made
	bin/supervisor demo down --dir $(DEMO)

check: ## the inner loop: formatting, vet, unit tests; below 2 minutes
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go vet -tags $(TAGS) ./...
	go vet -tags $(TAGS),real,cassandra,packaged,manpages,netns,systemd ./...
	go test -tags $(TAGS) ./...

sim: ## seeds of the simulator for four minutes; SEED=edition:number STEPS=n plays one
	@go run -tags $(TAGS) ./cmd/simulate -commit "$$(git rev-parse --short HEAD)" \
		$(if $(SEED),-seed $(SEED),-seeds 300 -for 4m) $(if $(STEPS),-steps $(STEPS))
	$(if $(SEED),,go test -tags $(TAGS) ./internal/sim -count=1 -run TestEveryCrashPoint -every 1)

sim-long: ## the long run: an hour and three quarters, entered in docs/simulator.md
	go test -tags $(TAGS) ./internal/sim -count=1 -run TestEveryCrashPoint -every 1
	go run -tags $(TAGS) ./cmd/simulate -commit "$$(git rev-parse --short HEAD)" -for 105m -ledger docs/simulator.md

alarms: ## how often a judge is wrong: 1040 stories over real gossip, and pools of up to 300, into docs/alarms.md; half an hour; SEED=edition:number plays one
	GOGC=800 go test -tags $(TAGS) ./internal/alarms -count=1 -v -timeout 6h -run TestMatrix $(if $(SEED),-alarms.seed $(SEED),-alarms.runs 1040 \
		-alarms.commit "$$(git rev-parse --short HEAD)" -alarms.page $(CURDIR)/docs/alarms.md)
	$(if $(SEED),,for n in 33 100 300; do go test -tags $(TAGS) ./internal/alarms -count=1 -v -timeout 6h -run 'TestPool$$' \
		-alarms.pool $$n -alarms.page $(CURDIR)/docs/alarms.md || exit 1; done)

real: test-tools build ## tests on real Cassandra processes; about 33 minutes
	TAGS=$(TAGS) scripts/real.sh

hosts: hosts-tools package ## tests on hosts: containers with systemd and the real package; as root, about 45 minutes and 3 more the first time; RUN=TestDisks runs one, SKIP=TestDisks the others
	cd e2e/cluster && go vet -tags $(TAGS),hosts ./... && go vet -tags $(TAGS),example ./...
	cd e2e/cluster && go test -tags $(TAGS),hosts -count=1 -v -timeout 60m -artifacts -outputdir $(CURDIR)/dist $(if $(RUN),-run '$(value RUN)') $(if $(SKIP),-skip '$(value SKIP)') .

hosts-tools:
	scripts/setup.sh hosts

kills: test-tools build ## the leader's agent killed at every moment of a crash and of a hang, into docs/kills.md; about an hour
	go test -tags $(TAGS),real ./internal/demo/kills -count=1 -v -timeout 3h -run TestLeaderKilled \
		-kills.every 1 -kills.first 1 -kills.table $(CURDIR)/docs/kills.md

stops: test-tools build ## the same, but stopped, and woken while another one leads or when all is over; about as long
	go test -tags $(TAGS),real ./internal/demo/kills -count=1 -v -timeout 3h -run TestLeaderKilled \
		-kills.stop -kills.every 1 -kills.first 1 -kills.table $(CURDIR)/docs/kills.md

# TestRegionsApart cuts a region off too.
test: test-tools build check package-check ports-check unit-check sim real ## everything, with its own set-up
	HOSTS_LASTS=30s $(MAKE) hosts SKIP='^TestRegions$$'

notice: ## write NOTICE anew: every linked module with its licence
	@scripts/notice.sh >NOTICE.new && mv NOTICE.new NOTICE

lint: ## golangci-lint with .golangci.yml, where it is installed
	@command -v golangci-lint >/dev/null || { echo "missing: golangci-lint 2.x; make check does without it"; exit 1; }
	golangci-lint run

clean: ## remove what was built
	rm -rf bin dist
