.DEFAULT_GOAL := help
.PHONY: help wasm bench demo run test lint clean

TARGET := wasm32-wasip1
BUILT := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/wasm
# The same bytes from every folder and for every user.
REPRODUCIBLE := CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="--remap-path-prefix=$(CURDIR)=. \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo"
HARNESS := cargo run --quiet --package wasm-tests --

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "ENVOY=/path, FUNC_E=/path or ENVOY_VERSION=1.39.3 choose the Envoy that demo, run and test use."

demo: wasm ## Send real requests through a real Envoy, and show where they went
	@echo "Building the harness ..." >&2
	@$(HARNESS) demo

run: wasm ## Keep that Envoy running, with curl lines to try
	@echo "Building the harness ..." >&2
	@$(HARNESS) run

wasm: ## Build the filter that Envoy loads: target/traffic_split.wasm
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || \
		{ echo "Adding the Rust target $(TARGET) ..." >&2; rustup target add $(TARGET); }
	@echo "Building the filter ..." >&2
	@$(REPRODUCIBLE) cargo build --quiet --lib --profile wasm --target $(TARGET)
	@mkdir -p target
	@cargo run --quiet --package strip -- wasm-tests/abi.json $(BUILT)/traffic_split.wasm target/traffic_split.wasm

bench: wasm target/empty.wasm ## Measure what the filter costs Envoy, beside an empty one, Lua and weighted clusters
	@echo "Building the harness ..." >&2
	@cargo run --quiet --release --package wasm-tests -- bench
	@cargo bench --quiet --package wasm-tests --bench core

target/empty.wasm: wasm
	@$(REPRODUCIBLE) cargo build --quiet --package empty --profile wasm --target $(TARGET)
	@cp $(BUILT)/empty.wasm $@

test: wasm target/empty.wasm ## Run every test, the ones in a real Envoy included
	@$(HARNESS) envoy
	cargo test --workspace
	@$(HARNESS) bench --smoke

lint: ## Check format and lints, natively and for the Wasm target
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || rustup target add $(TARGET)
	cargo clippy --lib --target $(TARGET) -- --deny warnings

clean: ## Remove everything that was built or downloaded
	cargo clean
