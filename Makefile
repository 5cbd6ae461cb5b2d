# Isthmus. "make" lists the targets; each is a line or two that can be typed by hand as well.

# One set of build flags everywhere, so that everything shares the build cache.
export CGO_ENABLED := 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The embedded API server reads its own version from variables that are set when it is linked.
KUBE    := k8s.io/component-base/version
LDFLAGS := -s -w -X main.version=$(VERSION) -X $(KUBE).gitVersion=v1.36.1 -X $(KUBE).gitMajor=1 -X $(KUBE).gitMinor=36

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

build: ## build isthmus, isthmus-agent and the sample shop into bin/
	go build -ldflags "$(LDFLAGS)" -o bin/ ./cmd/isthmus ./cmd/isthmus-agent ./examples/shop

demo: build ## run a whole mesh on this machine until Ctrl-C; no root needed
	bin/isthmus demo

test: ## run every test, with real Envoys; as root also those in network namespaces
	go build ./...
	@# One package at a time: whole meshes that must lose no request share no processor with each other.
	go run ./tools/testrun -count=1 -p 1 -timeout 30m ./...

bench: build ## measure and print the tables of docs/benchmarks.md; takes five minutes
	go run ./meshtest/bench
	go run ./meshtest/bench -overhead
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

.PHONY: help build demo test bench generate lint clean
