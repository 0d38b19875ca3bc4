.DEFAULT_GOAL := help
.PHONY: help wasm demo run test lint clean

TARGET := wasm32-wasip1
BUILT := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/wasm/traffic_split.wasm
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
	@cargo build --quiet --lib --profile wasm --target $(TARGET)
	@mkdir -p target
	@cp $(BUILT) target/traffic_split.wasm

test: wasm ## Run every test, the ones in a real Envoy included
	@$(HARNESS) envoy
	cargo test --workspace

lint: ## Check format and lints, natively and for the Wasm target
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || rustup target add $(TARGET)
	cargo clippy --lib --target $(TARGET) -- --deny warnings

clean: ## Remove everything that was built or downloaded
	cargo clean
