# Verbs only; each line calls cargo, a task of hack/xtask, or a script of hack/.
.PHONY: demo test check bench chaos codegen fuzz cli images install-check cluster-check interop

demo:
	cargo xtask demo

# The tasks as one of all packages, not alone: with the same features nothing is compiled a second time.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo run --quiet --bin xtask -- tidy
	cargo run --quiet --bin xtask -- codegen --check
	cargo run --quiet --bin xtask -- coverage
	cargo test --workspace --lib --bins

test:
	hack/controlplane/build
	hack/servers/build
	cargo test --workspace

# QUICK=1, BIN_DIR, BENCH: see docs/benchmarks.md.
bench:
	hack/bench/report $(if $(QUICK),--quick) $(if $(BIN_DIR),--bin-dir $(abspath $(BIN_DIR))) $(BENCH)

# CHAOS_SECONDS, CHAOS_SEED: for how long, and which faults; see tests/tests/chaos.rs.
chaos:
	hack/controlplane/build
	hack/servers/build
	cargo build --workspace --bins
	cargo test -p lockgate-tests --test chaos -- --ignored --nocapture

codegen:
	cargo xtask codegen

fuzz:
	hack/fuzz/run 120

cli:
	cargo xtask cli

# BIN_DIR: static programs that are there already, for these and for the two below.
images:
	cargo xtask images --check $(if $(BIN_DIR),--bin-dir $(abspath $(BIN_DIR)))

interop:
	cargo build --workspace --bins
	hack/controlplane/build
	cargo test -p helm-controller --test interop -- --ignored
	cargo test -p lockgate-tests --test takeover --test consumed -- --ignored
	hack/interop/flux/check
	hack/interop/monitoring/check

install-check:
	$(if $(BIN_DIR),,cargo build --package lockgate-cli --package source-controller --package kustomize-controller --package helm-controller \
		--package notification-controller --package image-automation)
	$(if $(BIN_DIR),LOCKGATE_BIN_DIR=$(abspath $(BIN_DIR))) cargo test --package lockgate-tests --test install --test guides

# As root on Linux: a real node, with the images as pods. See docs/images.md for what the machine has to have.
cluster-check:
	hack/node/run $(if $(BIN_DIR),$(abspath $(BIN_DIR)))
