# One command for each thing a developer does; `make` alone lists them. Everything is built in one profile, --release.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The environment of every cargo command; compiles RocksDB once. Needs what `dev/setup build` installs.
ENVIRONMENT := environment=$$(dev/env); eval "$$environment"

.PHONY: help
help: ## lists the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F '\t' '{ printf "make %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## compiles the release binary, after installing what that needs
	@dev/setup build
	$(ENVIRONMENT)
	cargo build --release --locked --bin strata
	echo "built $$STRATA_BIN"

.PHONY: serve
serve: build ## builds and serves ./strata-data on 127.0.0.1:5000; more flags: make serve ARGS='--listen 127.0.0.1:5001'
	@$(ENVIRONMENT)
	exec "$$STRATA_BIN" serve $(ARGS)

.PHONY: test
test: ## everything CI proves: unit, capability, crash, conformance, clients, a 2 GiB blob
	@dev/test

.PHONY: check
check: ## fmt, clippy, rustdoc, cargo-deny, tidy, the lock file of the fuzzer, buf on the protocol's files
	@dev/setup build
	$(ENVIRONMENT)
	cargo fmt --all -- --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --release --locked --workspace --no-deps --document-private-items
	cargo test --release --locked --test tidy
	cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null || { echo 'fuzz/Cargo.lock is behind: cargo update --workspace --manifest-path fuzz/Cargo.toml' >&2; exit 1; }
	dev/deny
	dev/protos

.PHONY: docs
docs: ## writes the generated parts of docs/ again
	@dev/setup build
	$(ENVIRONMENT)
	STRATA_WRITE_DOCS=1 cargo test --release --locked --bin strata --test tidy documentation

.PHONY: conformance
conformance: build ## the public OCI conformance suites against the real server
	@$(ENVIRONMENT)
	dev/conformance

.PHONY: clients
clients: build ## docker, podman, buildah, skopeo, ctr, helm, oras, cosign, crane, regctl, grpcurl, Python against the real server
	@$(ENVIRONMENT)
	dev/clients/run

.PHONY: clients-ci
clients-ci: build ## the fast part of `make clients`
	@$(ENVIRONMENT)
	dev/clients/run --ci

.PHONY: crash
crash: build ## kills the server at random points of pushes, and of mixed load beside garbage collection, 100 rounds; a backup at every call
	@$(ENVIRONMENT)
	STRATA_CRASH_ROUNDS=$${ROUNDS:-100} cargo test --release --locked --test crash --test backup_crash -- --nocapture

.PHONY: power-cut
power-cut: build ## cuts the power of the server's disk (a loop device; needs root), 20 times: make power-cut ROUNDS=100
	@$(ENVIRONMENT)
	STRATA_BIN=$${STRATA_BIN:-$${CARGO_TARGET_DIR:-target}/release/strata} dev/power-cut $(or $(ROUNDS),20)

.PHONY: crash-long
crash-long: build ## the same and mixed load beside garbage collection, 1,000 rounds each; the report is crash-report.txt
	@$(ENVIRONMENT)
	STRATA_CRASH_ROUNDS=$${ROUNDS:-1000} cargo test --release --locked --test crash -- --nocapture kill_at_random 2>&1 \
	  | grep --line-buffered -E '^(STRATA|round|[0-9]+ rounds|test |thread)' | tee crash-report.txt

.PHONY: model
model: ## random sequences against the model and races in random orders, for a long time (STEPS, ORDERS, PREEMPTIONS)
	@dev/setup build
	$(ENVIRONMENT)
	STRATA_MODEL_STEPS=$${STEPS:-5000000} cargo test --release --locked -p strata-proof --test model -- --nocapture
	STRATA_RACE_ORDERS=$${ORDERS:-20000} STRATA_RACE_PREEMPTIONS=$${PREEMPTIONS:-3} cargo test --release --locked -p strata-proof --test race

.PHONY: soak-20g
soak-20g: build ## a 20 GiB blob in and out, cut and resumed across restarts, memory watched
	@dev/setup soak
	$(ENVIRONMENT)
	dev/soak 20GiB

.PHONY: fuzz
fuzz: ## parsers, records and whole sequences under a fuzzer, a minute each (FUZZ_SECONDS, FUZZ_TARGETS; needs a nightly toolchain)
	@dev/setup build
	dev/fuzz

.PHONY: fuzz-long
fuzz-long: ## the same, an hour each
	@dev/setup build
	FUZZ_SECONDS=$${FUZZ_SECONDS:-3600} dev/fuzz

.PHONY: compare
compare: build ## Strata beside other registries and nginx, into docs/performance.md; QUICK=1 two minutes; ARGS='--only PHASE,…'
	@dev/setup compare
	$(ENVIRONMENT)
	dev/compare $(if $(QUICK),--quick) $(ARGS)

.PHONY: scale
scale: build ## metadata at a million manifests beside an empty store; smaller: make scale ARGS='--manifests 50000'
	@$(ENVIRONMENT)
	dev/scale $(ARGS)

.PHONY: growth
growth: ## what must not grow with a store: opening it, deleting a tag, collecting one percent of garbage; smaller: make growth ARGS='--large 100000'
	@dev/setup build
	$(ENVIRONMENT)
	dev/growth $(ARGS)

.PHONY: housekeeping
housekeeping: build ## p99 of pulls and pushes while 100,000 blobs are collected, beside the same without; space after deleting everything
	@$(ENVIRONMENT)
	dev/housekeeping $(ARGS)

.PHONY: hostile
hostile: build ## p99 of pulls and pushes beside idle connections, slow heads and bodies, HTTP/2 floods, beside the same without
	@$(ENVIRONMENT)
	dev/hostile $(ARGS)

.PHONY: token-cost
token-cost: build ## GET manifest with a token beside open mode: processor time a request, at most 1.15 times as much
	@$(ENVIRONMENT)
	dev/token-cost $(ARGS)

.PHONY: grpc-cost
grpc-cost: build ## reads and writes over gRPC beside HTTP/1.1 and HTTP/2, and a question for 10,000 digests: processor time of the server, with bounds
	@$(ENVIRONMENT)
	dev/grpc-cost $(ARGS)

.PHONY: image
image: ## builds the container image, tries it, says what was proven
	@dev/image

.PHONY: clean
clean: ## removes ./target and ./strata-data; the cache folder stays
	rm -rf target strata-data
