#!/bin/sh
# Runs one scenario against a gateway on 127.0.0.1 and tells the counts as one JSON line; exit 0 when every call succeeded.
# usage: run.sh SCENARIO USER@HOST:PORT [CALLS [RATE [MILLISECONDS]]] [-- more options of sipp]
#   e.g. run.sh call echo@127.0.0.1:5060 200 20 10000        run.sh call echo@127.0.0.1:5060 50 10 5000 -- -t t1   (over TCP)
# SCENARIO: call call-them cancel hold info no-codec not-found busy full delayed-offer options referred (the .xml files here; their first lines tell more)
set -eu
here=$(dirname "$(readlink -f "$0")")
scenario=${1:?$(sed -n '3p' "$0")} target=${2:?$(sed -n '3p' "$0")}
shift 2
calls=1 rate=20 length=3000
[ $# -gt 0 ] && [ "$1" != -- ] && { calls=$1; shift; }
[ $# -gt 0 ] && [ "$1" != -- ] && { rate=$1; shift; }
[ $# -gt 0 ] && [ "$1" != -- ] && { length=$1; shift; }
[ "${1:-}" = -- ] && shift
user=${target%@*} host=${target#*@}

# A port of our own: by itself sipp takes 5060, which is the gateway's.
port=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# sipp takes the media file from its working directory, and leaves its statistics there.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/../sounds/aperiodic10s.ulaw" "$work/caller.ulaw"
cd "$work"
status=0
sipp "$host" -sf "$here/$scenario.xml" -s "$user" -i 127.0.0.1 -p "$port" -mi 127.0.0.1 -m "$calls" -r "$rate" -d "$length" -l 1000 \
  -timeout "$((calls / rate + 3 * length / 1000 + 70))s" -timeout_error \
  -nostdin -trace_stat -stf stat.csv -fd 1 -trace_err -error_file errors.log "$@" >screen.log 2>&1 || status=$?
if [ ! -s stat.csv ]; then cat screen.log >&2; exit 2; fi
head -5 errors.log >&2 2>/dev/null || true
awk -F';' -v s="$scenario" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } { last = $0 } END { split(last, v, ";")
  printf "{\"scenario\":\"%s\",\"calls\":%d,\"ok\":%d,\"failed\":%d,\"retransmissions\":%d}\n", s, v[at["TotalCallCreated"]],
    v[at["SuccessfulCall(C)"]], v[at["FailedCall(C)"]], v[at["Retransmissions(C)"]] }' stat.csv
exit $status
