#!/bin/sh
# Installs what the tests with foreign peers need: sipp, baresip, Kamailio, PostgreSQL and Chromium (apt), a Python venv and
# Node modules under peers/.
# usage: scripts/setup-tests.sh     Safe to repeat; does nothing, in well under a second, when all is there. Root, or sudo for apt.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../peers"

say() { echo "setup-tests: $*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "root or sudo is needed for: $*"
  fi
}

apt_install() {
  command -v apt-get >/dev/null || die "please install $* (there is no apt-get here)"
  say "installing $*"
  for round in 1 2; do
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" >/dev/null; then return; fi
    [ $round = 2 ] || as_root apt-get -qq update || true
  done
  die "apt-get could not install $*"
}

# 1. Programs.
missing=""
command -v sipp >/dev/null || missing="$missing sip-tester"
command -v baresip >/dev/null || missing="$missing baresip-core"
command -v kamailio >/dev/null || [ -x /usr/sbin/kamailio ] || missing="$missing kamailio"
command -v python3 >/dev/null || missing="$missing python3"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null || missing="$missing chromium"
command -v openssl >/dev/null || missing="$missing openssl"
command -v curl >/dev/null || missing="$missing curl"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
# shellcheck disable=SC2086
[ -z "$missing" ] || apt_install $missing
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "python3 is too old: 3.11 or newer is needed"
node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' || die "node is too old: 20 or newer is needed"

# 2. Python: peers/.venv, exactly what python/requirements.txt pins. The stamp is a copy of it.
if ! cmp -s python/requirements.txt .venv/stamp || ! .venv/bin/python -c 'import av, jsonschema, numpy, pydantic, schemathesis, websockets' 2>/dev/null; then
  say "making peers/.venv"
  rm -rf .venv
  if ! python3 -m venv .venv >/dev/null 2>&1; then
    apt_install python3-venv
    rm -rf .venv
    python3 -m venv .venv
  fi
  .venv/bin/python -m pip -q --disable-pip-version-check install --no-deps -r python/requirements.txt || die "pip could not install python/requirements.txt"
  cp python/requirements.txt .venv/stamp
fi

# 3. Node: exactly what the lock files pin.
for folder in node web; do
  if ! cmp -s $folder/package-lock.json $folder/node_modules/.stamp; then
    say "installing peers/$folder/node_modules"
    (cd $folder && npm ci --silent) || die "npm ci failed in peers/$folder"
    cp $folder/package-lock.json $folder/node_modules/.stamp
  fi
done
