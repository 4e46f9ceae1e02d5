#!/usr/bin/env bash
# Prometheus' own promtool on what we export and on our alert rules. Needs promtool, or Debian's
# package of Prometheus (which is only unpacked, not installed).
# Usage: tests/metrics/run.sh PROGRAM SCRATCH
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "$1")
scratch=$2
mkdir -p "$scratch"

promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
    command -v apt-get >/dev/null || { echo "promtool is needed (a part of Prometheus)" >&2; exit 1; }
    (cd "$scratch" && apt-get download --quiet prometheus && dpkg -x prometheus_*.deb prometheus)
    promtool=$scratch/prometheus/usr/bin/promtool
fi

"$promtool" check rules deploy/prometheus/rules.yml
cp deploy/prometheus/rules.yml tests/metrics/rules_test.yml "$scratch/"
"$promtool" test rules "$scratch/rules_test.yml"

"$program" demo --requests 24 --listen 127.0.0.1:0 >"$scratch/demo.log" 2>&1 &
demo=$!
trap 'kill "$demo" 2>/dev/null || true' EXIT
address=""
for _ in $(seq 600); do
    address=$(grep -o 'http://[0-9.:]*/metrics' "$scratch/demo.log" | head -1 || true)
    [ -n "$address" ] && break
    kill -0 "$demo" || { cat "$scratch/demo.log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$address" ] || { echo "the demo tells no metrics" >&2; exit 1; }
curl --silent --show-error --fail "$address" >"$scratch/metrics.txt"
"$promtool" check metrics <"$scratch/metrics.txt"
grep --quiet '^pointsman_requests_total{end="served"' "$scratch/metrics.txt"
kill -TERM "$demo"
wait "$demo"
trap - EXIT
echo "metrics: $(grep --count '^# TYPE' "$scratch/metrics.txt") families, all well"
