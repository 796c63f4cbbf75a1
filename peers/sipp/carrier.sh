#!/bin/sh
# A carrier on a free port of 127.0.0.1: takes calls, and does what the number says (carrier.xml). Prints LISTENING and its
# port, and at the end one JSON line with the calls and how often each kind of number got its final answer; exit 0 when
# every call went as its kind wants.   usage: carrier.sh CALLS SECONDS [more options of sipp]
set -eu
here=$(dirname "$(readlink -f "$0")")
calls=${1:?$(sed -n '4p' "$0")} seconds=${2:?$(sed -n '4p' "$0")}
shift 2
port=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
status=0
sipp -sf "$here/carrier.xml" -i 127.0.0.1 -p "$port" -mi 127.0.0.1 -m "$calls" -timeout "${seconds}s" -timeout_error \
  -nostdin -trace_stat -stf stat.csv -fd 1 -trace_err -error_file errors.log "$@" >screen.log 2>&1 &
sipp=$!
# It listens when its port is taken.
for _ in $(seq 100); do
  python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('127.0.0.1', $port))" 2>/dev/null || break
done
echo "LISTENING $port"
wait "$sipp" || status=$?
if [ ! -s stat.csv ]; then cat screen.log >&2; exit 2; fi
head -5 errors.log >&2 2>/dev/null || true
awk -F';' 'NR == 1 { for (i = 1; i <= NF; i++) { at[$i] = i; if ($i ~ /^[a-z_]+\(C\)$/) kinds[++n] = i; name[i] = $i } } { last = $0 } END { split(last, v, ";")
  printf "{\"calls\":%d,\"ok\":%d,\"failed\":%d", v[at["TotalCallCreated"]], v[at["SuccessfulCall(C)"]], v[at["FailedCall(C)"]]
  for (k = 1; k <= n; k++) { kind = name[kinds[k]]; sub(/\(C\)/, "", kind); printf ",\"%s\":%d", kind, v[kinds[k]] }
  print "}" }' stat.csv
exit $status
