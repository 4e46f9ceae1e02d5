#!/usr/bin/env bash
# The dashboard in a real browser: figures equal to /metrics, a failed-over request read, the playground's
# dials, the key, accessibility (axe-core) in light and dark, on a desk and on a phone.
#
# In: the `pointsman` binary and a folder for packages, logs and screenshots (made if it is not there; what
# is installed in it is used again). Out: a line per check, and FOLDER/screenshots/*.png. Needs Node with
# npm and, where there is no Chromium yet, Debian's package of it (apt).
#
# Usage: tests/dashboard/run.sh PROGRAM SCRATCH
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
program=$(realpath "$1")
mkdir -p "$2/npm" "$2/screenshots"
scratch=$(realpath "$2")
cd "$(dirname "$0")"

browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    command -v apt-get >/dev/null || { echo "Chromium is needed" >&2; exit 1; }
    (apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core) \
        >"$scratch/apt.log" 2>&1 || { tail -5 "$scratch/apt.log" >&2; exit 1; }
    browser=$(command -v chromium)
fi
if ! cmp -s package.json "$scratch/npm/package.json" || [ ! -d "$scratch/npm/node_modules/axe-core" ]; then
    cp package.json "$scratch/npm/"
    timeout 300 npm install --prefix "$scratch/npm" --silent --no-audit --no-fund --no-package-lock --ignore-scripts
fi

"$program" demo --requests 120 --seed 7 --listen 127.0.0.1:0 >"$scratch/demo.log" 2>&1 &
demo=$!
trap 'kill "$demo" 2>/dev/null || true' EXIT
admin="" server=""
for _ in $(seq 1200); do
    admin=$(grep -o 'http://[0-9.:]*/metrics' "$scratch/demo.log" | head -1 || true)
    [ -n "$admin" ] && break
    kill -0 "$demo" || { cat "$scratch/demo.log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$admin" ] || { echo "the demo tells no metrics" >&2; exit 1; }
server=$(grep -o 'stays up at http://[0-9.:]*[0-9]' "$scratch/demo.log" | grep -o 'http.*')

CHROMIUM=$browser DASHBOARD_MODULES=$scratch/npm timeout --kill-after=10 300 \
    node main.mjs "${admin%/metrics}" "$server" "$scratch/screenshots"
kill -TERM "$demo"
wait "$demo"
trap - EXIT
