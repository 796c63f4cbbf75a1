#!/usr/bin/env bash
# The first minutes with the binary in an empty folder: start, banner, health, size, memory, a taken port, stop.
# usage: scripts/first-minutes.sh target/release/patchcord
set -euo pipefail

binary=$(readlink -f "$1")
folder=$(mktemp -d)
pid=""
# The ports of the test's own instance; those of the defaults may be in use on a developer's machine.
http=18480 sip=15480
cleanup() {
  [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
fail() {
  echo "first-minutes: $*" >&2
  sed 's/^/  | /' "$folder"/*.log >&2 || true
  exit 1
}

export PATCHCORD_HTTP__LISTEN=127.0.0.1:$http PATCHCORD_SIP__LISTEN=udp:127.0.0.1:$sip,tcp:127.0.0.1:$sip

# answers PATH: the status line of a GET, without curl.
answers() {
  exec 3<>"/dev/tcp/127.0.0.1/$http" || return 1
  printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
  head -n 1 <&3
  exec 3>&-
}

megabytes=$(($(stat -c %s "$binary") / 1000000))
((megabytes <= 30)) || fail "the binary has $megabytes MB, more than 30"

cd "$folder"
"$binary" >out.log 2>err.log &
pid=$!
started=$(date +%s%N)
until answers /ready 2>/dev/null | grep -q ' 200 '; do
  kill -0 "$pid" 2>/dev/null || fail "serve ended instead of starting"
  (($(date +%s%N) - started < 10000000000)) || fail "not ready after 10 s"
  sleep 0.01
done
ready_ms=$((($(date +%s%N) - started) / 1000000))
((ready_ms <= 1000)) || fail "ready after $ready_ms ms, more than 1000"
answers /health | grep -q ' 200 ' || fail "/health does not answer 200"

lines=$(grep -cv '^{' <(cat out.log err.log) || true)
((lines <= 10)) || fail "the banner has $lines lines, more than 10"
grep -q "$http" out.log err.log || fail "the banner does not say where to look"
grep -q 'sip:echo@' out.log err.log || fail "the banner does not say what to dial"

kilobytes=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
((kilobytes <= 40000)) || fail "idle memory is $kilobytes kB, more than 40000"

# A second one finds the port taken.
code=0
"$binary" >second.log 2>&1 || code=$?
[[ $code -eq 3 ]] || fail "a taken port ends with exit code $code, not 3"
grep -q "$http\|$sip" second.log || fail "the error does not name the port"
grep -q 'http.listen\|sip.listen' second.log || fail "the error does not name the key"

kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=""
[[ $code -eq 0 ]] || fail "SIGTERM ends with exit code $code, not 0"
echo "first-minutes: ready after $ready_ms ms, $megabytes MB, $kilobytes kB idle"
