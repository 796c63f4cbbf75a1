#!/bin/sh
# Looks for inputs that break a law, one target after another; fuzz/README.md says what the targets are.
# usage: scripts/fuzz.sh [TARGET…]     all targets when none is named
#   SECONDS_EACH=60   how long each target runs
#   RUNS=             how many inputs each target tries instead, if set
# An input that breaks a law is left in fuzz/artifacts/TARGET; once the fault is mended, it belongs to fuzz/seeds/TARGET.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

say() { echo "fuzz: $*" >&2; }
die() { say "$*"; exit 1; }

command -v cargo >/dev/null || die "cargo is not in PATH; get Rust from https://rustup.rs"
command -v c++ >/dev/null || die "libFuzzer is C++: please install a compiler for it (Debian: apt install g++)"
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if ! command -v cargo-fuzz >/dev/null; then
  say "installing cargo-fuzz"
  cargo install --quiet --locked cargo-fuzz || die "could not install it; with a network: cargo install --locked cargo-fuzz"
fi

# Without a sanitizer any compiler will do, and safe code has nothing for one to find: the laws are what is looked for.
cargo fuzz build --sanitizer none || die "the targets do not build"

[ $# -gt 0 ] || set -- $(cargo fuzz list)
if [ -n "${RUNS:-}" ]; then limit="-runs=$RUNS"; else limit="-max_total_time=${SECONDS_EACH:-60}"; fi
broken=""
for target in "$@"; do
  mkdir -p "fuzz/corpus/$target"
  inputs="fuzz/corpus/$target fuzz/seeds/$target"
  [ "$target" != sip ] || inputs="$inputs crates/sip/tests/data/rfc4475"
  log="fuzz/corpus/$target.log"
  say "$target ($limit)"
  if cargo fuzz run --sanitizer none "$target" $inputs -- "$limit" -max_len=2048 -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 >"$log" 2>&1
  then
    sed -n 's/^stat::number_of_executed_units: */  inputs tried: /p; s/^stat::peak_rss_mb: */  peak memory in MB: /p' "$log"
  else
    broken="$broken $target"
    say "$target BREAKS A LAW; the whole log is $log"
    grep -A 2 'panicked at\|ERROR: libFuzzer' "$log" | head -20 >&2 || tail -20 "$log" >&2
    grep 'Test unit written' "$log" >&2 || true
  fi
done
[ -z "$broken" ] || die "broken laws in:$broken"
