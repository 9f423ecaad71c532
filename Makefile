# Everything a contributor runs. Each target checks for what it needs, installs what is missing, and says so.
# Needed from the start: make, Rust (see `rust-version` in Cargo.toml) and a C compiler.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help dev cluster test fmt clippy docs-links lint deny bench clean tools cmake rust servers browser

CARGO ?= cargo
ARGS ?=
# Of `make cluster`: "human" or "json"; and where its data is kept (without it, in a temporary folder).
FORMAT ?= human
DATA ?=

## help: this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## dev: run everything on this machine, with demo data (more arguments: make dev ARGS="--tls")
dev: tools
	@echo "make: building drawbridge (the first build takes some minutes)" >&2
	@$(CARGO) build --locked --bin drawbridge
	@exec $(CARGO) run --quiet --locked --bin drawbridge -- dev $(ARGS)

## cluster: three gateways, PostgreSQL and Redis with Sentinels on this machine (FORMAT=json, DATA=DIR)
# Only the program writes to stdout. It ends when make does, also when make is killed.
cluster: tools servers
	@echo "make: building drawbridge (the first build takes some minutes)" >&2
	@$(CARGO) build --locked --bin drawbridge --example cluster >&2
	@exec setpriv --pdeathsig TERM $(CARGO) run --quiet --locked --example cluster -- \
		--format $(FORMAT) $(if $(DATA),--data "$(DATA)")

## test: formatting, lints, links in the documents, all tests; what CI runs
test: tools servers browser fmt clippy docs-links
	$(CARGO) test --locked

fmt: rust
	$(CARGO) fmt --check

clippy: tools
	$(CARGO) clippy --locked --all-targets -- -D warnings

# A test of its own, run first because a broken link shows in seconds where the whole suite takes minutes.
docs-links: tools
	$(CARGO) test --locked --test it docs_links::

## lint: formatting, lints, and licences, bans, sources and advisories of all dependencies
lint: tools fmt clippy deny

deny: rust
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "make: cargo-deny is missing; building it (some minutes, once)" >&2; \
		$(CARGO) install --locked cargo-deny; \
	fi
	$(CARGO) deny --locked check licenses bans sources
	@if $(CARGO) deny --locked fetch db >/dev/null 2>&1; then \
		echo "$(CARGO) deny check advisories"; \
		$(CARGO) deny --locked check advisories; \
	else \
		echo "make: SKIPPED: cargo deny check advisories (its database can't be reached from here)" >&2; \
	fi

## bench: CPU per request side by side, memory, revocations, the logs (one alone: make bench ARGS="--bench gate -- --rounds 9 --only stock,gate")
# Load generator and upstream are ours. taskset is part of util-linux; without it nothing is pinned, and the
# report says so. The logs need PostgreSQL, revocations Redis too.
bench: tools servers
	$(CARGO) bench --locked $(ARGS)

## clean: forget what was built and the data of `make dev`
clean:
	$(CARGO) clean
	rm -rf data

tools: rust cmake

rust:
	@command -v $(CARGO) >/dev/null 2>&1 || { \
		echo "make: cargo is missing: install Rust (with rustup)" >&2; exit 1; }
	@command -v cc >/dev/null 2>&1 || { \
		echo "make: a C compiler is missing: on Debian, apt-get install gcc libc6-dev" >&2; exit 1; }
	@for component in fmt clippy; do \
		$(CARGO) $$component --version >/dev/null 2>&1 && continue; \
		[ $$component = fmt ] && name=rustfmt || name=$$component; \
		echo "make: cargo $$component is missing; running rustup component add $$name" >&2; \
		rustup component add $$name >&2 || exit 1; \
	done

# The end of a recipe: installs what the shell's `missing` names (Debian packages, each after a blank) and says so; where
# there is no apt-get, it says what is missing and fails.
define install_missing
[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null 2>&1 || { \
		echo "make: missing:$$missing: install with your package manager" >&2; exit 1; }; \
	if [ "$$(id -u)" -eq 0 ]; then sudo=; else sudo=sudo; fi; \
	echo "make: missing; running $${sudo:+$$sudo }apt-get install$$missing" >&2; \
	$$sudo apt-get update -qq >&2 && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >&2
endef

# A dependency of the proxy library compiles C with it; without it the build dies after minutes.
cmake:
	@missing=; \
	command -v cmake >/dev/null 2>&1 || missing="$$missing cmake"; \
	$(install_missing)

# Tests and the cluster start servers of their own, on free ports and in temporary folders; what a package starts by itself is in
# nobody's way. Python runs the second verifier of audit logs (tools/verify_audit.py).
servers:
	@missing=; \
	{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v redis-server >/dev/null 2>&1 || missing="$$missing redis-server"; \
	command -v python3 >/dev/null 2>&1 || missing="$$missing python3"; \
	python3 -m pip --version >/dev/null 2>&1 || missing="$$missing python3-pip"; \
	command -v curl >/dev/null 2>&1 || missing="$$missing curl"; \
	command -v openssl >/dev/null 2>&1 || missing="$$missing openssl"; \
	command -v node >/dev/null 2>&1 || missing="$$missing nodejs"; \
	command -v npm >/dev/null 2>&1 || missing="$$missing npm"; \
	$(install_missing)

# Tests of the pages drive a real browser, headless. Debian's names; other systems have their own packages of Chromium and ChromeDriver.
browser:
	@missing=; \
	command -v chromium >/dev/null 2>&1 || missing="$$missing chromium"; \
	command -v chromedriver >/dev/null 2>&1 || missing="$$missing chromium-driver"; \
	$(install_missing)
