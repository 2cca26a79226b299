# Thin: each target is one command that can be typed by hand. `make help` lists them.
GO ?= go
BIN := bin
export CGO_ENABLED = 0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PKGS := ./...
# What runs sandboxes; everything else is unit tests.
SYSTEM := /test/compat /test/e2e /test/confine /test/fuzz /test/engines /test/soak
# Where goroutines share data. Comparisons with the host run one step after the other;
# under the race detector they would cost minutes and show nothing.
RACE := ./netstack/... ./sentry/... ./gofer/... ./platform/... ./syscalls/... ./runsc/control/... ./runsc/container/... ./runsc/sandbox/...

.PHONY: help build demo test check race compat e2e oci engines fuzz soak bench lint fmt gen install unit deps clean

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## build runsc and containerd's shim for it into bin/
	$(GO) build -trimpath -ldflags '-s -w -E lazaret/runsc/populate.start' -o $(BIN)/ ./runsc
	$(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/ ./runsc/shim/containerd-shim-runsc-v1

demo: build ## run real commands in sandboxes over this machine's root, read-only
	./tools/demo.sh $(BIN)/runsc

test: deps check ## install what the tests need (root) and run everything

deps: ## install the Debian packages that the tests use (root)
	./tools/deps.sh

check: build lint unit race compat e2e ## everything but the installation of packages

lint: ## gofmt, go.mod, vet, staticcheck, import edges, the arm64 build
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	$(GO) mod verify
	$(GO) mod tidy -diff
	$(GO) vet $(PKGS)
	GOARCH=arm64 $(GO) build $(PKGS)
	GOARCH=arm64 $(GO) vet $(PKGS)
	$(GO) run $(STATICCHECK) $(PKGS)
	$(GO) run ./tools/depcheck

unit: ## unit tests
	CGO_ENABLED=1 $(GO) test -timeout 10m $$($(GO) list $(PKGS) | grep -v $(SYSTEM:%=-e %))

race: ## unit tests of what runs concurrently, under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 15m -skip 'AgainstHost$$|^TestModel$$' $(RACE)

compat: build ## the same programs natively and in the sandbox, answers compared
	$(GO) test -count=1 -timeout 20m ./test/compat/...

e2e: build ## real programs, life cycle, bad input, kills, confinement
	$(GO) test -count=1 -timeout 40m ./test/e2e/... ./test/confine/... ./test/fuzz/... ./test/soak

oci: build ## what the OCI specification says, beside runc and crun: a table
	OCI_CRUN=1 $(GO) test -count=1 -timeout 10m -v -run '^TestOCI' ./test/e2e | grep -E '^ *--- |^(ok|FAIL)|_test.go'

engines: build ## the same scripts under Podman, Docker and containerd, with runc and runsc
	$(GO) test -count=1 -timeout 15m ./test/engines/...

fuzz: ## fuzz every parser of hostile bytes for FUZZTIME (default 20s) each
	./tools/fuzz.sh $(or $(FUZZTIME),20s)

soak: build ## work of every kind in one sandbox for SOAK (default 1h), looking for leaks
	SOAK=$(or $(SOAK),1h) $(GO) test -count=1 -timeout 0 -v ./test/soak

bench: build ## native, runc, a peer (PEER=path) and ours, alternating in one run; table, JSON, SVG
	mkdir -p out
	$(GO) run ./tools/bench -runsc $(BIN)/runsc $(if $(PEER),-peer $(PEER)) -json out/bench.json -svg out/bench.svg $(BENCHFLAGS)

fmt: ## format the code
	gofmt -w .

gen: ## regenerate what is generated: ABI, seccomp programs, vDSO, COMPATIBILITY.md
	$(GO) generate $(PKGS)

install: build ## install runsc and the shim to $(DESTDIR)/usr/local/bin
	install -D -m 0755 $(BIN)/runsc $(DESTDIR)/usr/local/bin/runsc
	install -D -m 0755 $(BIN)/containerd-shim-runsc-v1 $(DESTDIR)/usr/local/bin/containerd-shim-runsc-v1

clean: ## remove what the build made
	rm -rf $(BIN) out
