# What to type. `make` alone lists the targets.
#   make run     build and start Patchcord on this machine
#   make test    everything: check, then calls with programs that nobody here wrote
#   make check   format, lints, documentation, unit tests, house rules (no network, no peers)

CARGO ?= cargo
ARGS ?=
LOCKED := --locked
BINARY := target/release/patchcord
# Tests under `foreign::` call programs that are no part of this tree; all others need nothing else. Which of
# them may run beside each other is said in .config/nextest.toml.

# cargo-nextest runs tests a little faster and each in a process of its own; cargo test will do.
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
ifdef NEXTEST
  TEST_OWN := $(CARGO) nextest run $(LOCKED) --workspace --no-fail-fast -E 'not test(/^foreign::/)'
  TEST_FOREIGN := $(CARGO) nextest run $(LOCKED) --workspace --no-fail-fast -j 4 -E 'test(/^foreign::/)'
else
  TEST_OWN := $(CARGO) test $(LOCKED) --workspace --lib --bins --tests --no-fail-fast -- --skip foreign::
  TEST_FOREIGN := $(CARGO) test $(LOCKED) --workspace --tests --no-fail-fast -- --test-threads 1 foreign::
endif

# Without npm the dashboard is left out, and the program says so.
.PHONY: help run build web test check bench fuzz soak audit fmt cargo

help:
	@sed -n 's/^#   //p' Makefile
	@echo 'more: build web bench fuzz soak audit fmt'

cargo:
	@command -v $(CARGO) >/dev/null || { \
	  echo 'Patchcord is built with Rust, and cargo is not on this machine (or not in PATH).'; \
	  echo 'Get it from https://rustup.rs, open a new shell, and type `make run` again.'; exit 1; }

web:
	scripts/web.sh

build: cargo web
	$(CARGO) build --release $(LOCKED) -p patchcord

run: build
	$(BINARY) serve $(ARGS)

fmt: cargo
	$(CARGO) fmt --all

check: cargo
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' $(CARGO) doc $(LOCKED) --workspace --no-deps --document-private-items
	$(TEST_OWN)

test:
	scripts/setup-tests.sh
	scripts/web.sh check
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory build
	scripts/first-minutes.sh $(BINARY)
	PATCHCORD_BINARY=$(CURDIR)/$(BINARY) $(TEST_FOREIGN)

bench: build
	for calls in 20 100 200; do $(BINARY) bench --calls $$calls --seconds 30 $(ARGS) || exit 1; done

# Random courses of calls, an hour of calls, then the calls with foreign programs at their full length, 30 s each.
soak: build
	scripts/setup-tests.sh
	PROPTEST_CASES=200000 $(CARGO) test $(LOCKED) --release -p patchcord-core --test it call_traces
	$(BINARY) bench --calls 50 --seconds 3600 $(ARGS)
	NEXTEST_PROFILE=soak PATCHCORD_LONG=1 PATCHCORD_BINARY=$(CURDIR)/$(BINARY) $(TEST_FOREIGN)

# Each target for a minute (SECONDS_EACH=…, RUNS=…); any compiler will do. fuzz/README.md says more.
fuzz: cargo
	scripts/fuzz.sh $(ARGS)

# Licences, bans and advisories; outside `make test`, because advisories change without us.
audit: cargo
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --all-features check
