#!/bin/sh
# Builds the dashboard into web/dist, from where the next build of the binary takes it; does nothing, in well under a
# second, when its sources are the same as the last time. Without npm it says so and leaves things as they are.
# usage: scripts/web.sh [check]     `check` also checks types, style and the tests of the dashboard's own logic
set -eu
cd "$(dirname "$(readlink -f "$0")")/../web"

say() { echo "web: $*" >&2; }

if ! command -v npm >/dev/null || ! node -e 'process.exit(+process.versions.node.split(".")[0] < 18 ? 1 : 0)' 2>/dev/null; then
  say "the dashboard is left out: it is built with npm and node 18 or newer, which are not here. The API is there as always."
  exit 0
fi

# What is built comes from these files alone.
sources() {
  find src public index.html package-lock.json svelte.config.js tsconfig.json vite.config.ts biome.json -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d ' ' -f 1
}
# fetch WHAT [OPTION]: the packages of the lock file, if other ones were fetched the last time.
fetch() {
  if [ "$(cat node_modules/.fetched 2>/dev/null)" != "$1 $(sha256sum <package-lock.json)" ]; then
    say "fetching the packages of web/package-lock.json"
    npm ci --silent ${2-} || return 1
    echo "$1 $(sha256sum <package-lock.json)" >node_modules/.fetched
  fi
}

wanted=$(sources)
if [ "${1-}" = check ]; then
  fetch all
  if [ "$(cat node_modules/.checked 2>/dev/null)" != "$wanted" ]; then
    npm run --silent check
    echo "$wanted" >node_modules/.checked
  fi
fi
[ "$(cat dist/.built 2>/dev/null)" = "$wanted" ] && [ -f dist/index.html ] && exit 0
# Whoever works on it has the tools for checking too, and keeps them.
if [ -d node_modules/typescript ]; then what=all omit=""; else what=build omit="--omit=dev"; fi
if ! fetch $what $omit; then
  say "the dashboard is left as it was: its packages cannot be fetched. The API is there as always."
  exit 0
fi
say "building"
npm run --silent build -- --logLevel warn
echo "$wanted" >dist/.built
