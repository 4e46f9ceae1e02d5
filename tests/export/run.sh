#!/usr/bin/env bash
# The demo's outcome log as Parquet, in a folder and in an S3 server, read with DuckDB.
#
# In: the `pointsman` binary and a folder for the environment and logs (made if it is not there; what
# is installed in it is used again). Out: a line per check; the first that fails ends it with its
# code. Needs Python 3.10 or newer with venv, and its package index once.
#
# Usage: tests/export/run.sh POINTSMAN FOLDER
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
cd "$(dirname "$0")"

export PYTHONDONTWRITEBYTECODE=1
python=$folder/venv/bin/python

if ! cmp -s requirements.txt "$folder/venv/installed.txt"; then
    echo "--- an environment"
    timeout --foreground --kill-after=20 60 python3 -m venv --clear "$folder/venv"
    timeout --foreground --kill-after=20 600 "$python" -m pip install --quiet \
        --disable-pip-version-check -r requirements.txt
    cp requirements.txt "$folder/venv/installed.txt"
fi
timeout --foreground --kill-after=20 300 "$python" export.py "$binary" "$folder"
echo "--- the export is read in ${SECONDS} s"
