# Isthmus. "make" lists the targets; each is a line or two that can be typed by hand as well.

# One set of build flags everywhere, so that everything shares the build cache.
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The embedded API server reads its own version from variables that are set when it is linked.
KUBE    := k8s.io/component-base/version
LDFLAGS := -s -w -X main.version=$(VERSION) -X $(KUBE).gitVersion=v1.36.1 -X $(KUBE).gitMajor=1 -X $(KUBE).gitMinor=36

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

build: ## build isthmus, isthmus-agent and the sample shop into bin/
	go build -ldflags "$(LDFLAGS)" -o bin/ ./cmd/isthmus ./cmd/isthmus-agent ./examples/shop

demo: build ## run a whole mesh on this machine until Ctrl-C; no root needed
	bin/isthmus demo

demo-kubernetes: ## as root: run a mesh of machines and a cluster with Istio until Ctrl-C; the first time builds Kubernetes
	ISTHMUS_STAY=1 go test ./meshtest/stories -run '^TestBridge$$' -count=1 -timeout 0 -v

test: ## run every test, with real Envoys; as root also those in network namespaces
	go build ./...
	@# One package at a time: whole meshes that must lose no request share no processor with each other.
	go run ./tools/testrun -count=1 -p 1 -timeout 30m ./...

soak: ## the long forms of the tests that have one: many objects, migration, faults between zones; takes half an hour
	ISTHMUS_SOAK=1 go run ./tools/testrun -count=1 -p 1 -timeout 60m -run '^(TestObjectsInBulk|TestMigration|TestZoneFaults)$$' ./meshtest ./meshtest/stories

bench: build ## as root: measure and print the tables of docs/benchmarks.md; takes half an hour
	@# Stock istiod is measured right before us, by the same swarm, so that the two can be compared.
	go test ./meshtest/bench -run '^$$' -bench Stock -benchtime 1x -timeout 15m -args -out $(CURDIR)/bin/stock.json
	go run ./meshtest/bench -stock bin/stock.json
	go run ./meshtest/bench -overhead
	go test ./meshtest/bench -run '^$$' -bench Idle -benchtime 1x
	go test ./meshtest/bench -run '^$$' -bench Cluster -benchtime 1x -timeout 15m
	go test ./meshtest/bench -run '^$$' -bench Away -benchtime 1x
	go test ./meshtest/bench -run '^$$' -bench Failover -benchtime 1x -v
	go test ./edge/kube -run '^$$' -bench Drift/one -benchtime 200x
	go test ./edge/kube -run '^$$' -bench Drift/thousand -benchtime 3x
	go test ./compiler -run '^$$' -bench . -benchmem
	go test ./cmd/isthmus -run '^$$' -bench .

generate: ## rewrite what is made from something else: CRDs, protocols, tables of the documentation
	tools/generate/generate.sh
	go test . -update

lint: ## vet and staticcheck
	go vet ./...
	go tool -modfile=tools/lint/go.mod staticcheck ./...

clean: ## remove bin/; the caches of Go and of ~/.cache/isthmus stay
	rm -rf bin

.PHONY: help build demo demo-kubernetes test soak bench generate lint clean
