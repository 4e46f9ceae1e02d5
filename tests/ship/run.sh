#!/usr/bin/env bash
# What is shipped beside the program is whole: Kubernetes manifests against their schemas, the compose file,
# the configs by the program itself, the systemd unit by systemd where it is installed.
#
#   tests/ship/run.sh PROGRAM SCRATCH
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "$1")
scratch=$2
mkdir -p "$scratch"

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check 'kubernetes-validate==1.37.0' 'pyyaml==6.0.3'
"$scratch/venv/bin/python" tests/ship/check.py "$program" "$scratch"

if command -v systemd-analyze >/dev/null; then
    # The unit names a program that is not installed here: the same unit with this one.
    sed "s|/usr/local/bin/pointsman|$program|" deploy/systemd/pointsman.service >"$scratch/pointsman.service"
    systemd-analyze verify --man=no "$scratch/pointsman.service"
    # 0 is shut in wholly, 10 not at all; the threshold is in tenths.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$scratch/pointsman.service" >/dev/null
    echo "systemd unit: sound, exposure at most 2.0 of 10"
else
    echo "systemd unit: not checked, there is no systemd-analyze here"
fi
