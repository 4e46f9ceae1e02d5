#!/usr/bin/env bash
# Real clients against our server, with simulated providers and others' mocks behind it.
#
# In: the `pointsman` binary and a folder for environments and logs (made if it is not there; what is
# installed in it is used again). Out: a line per check; the first step that fails ends it with its
# code. Needs Python 3.10 or newer with venv, Node with npm, and their package indexes once.
#
# Usage: tests/clients/run.sh POINTSMAN FOLDER
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
cd "$(dirname "$0")"

# Nothing is written beside the sources, and nobody tells home about our runs.
export PYTHONDONTWRITEBYTECODE=1
export LITELLM_LOCAL_MODEL_COST_MAP=True
export CLIENT_MODULES=$folder/npm
python=$folder/venv/bin/python
older=$folder/older/bin/python

step() {
    local bound=$1 name=$2 code
    shift 2
    echo "--- $name"
    # In our own process group, so that whoever ends this script ends the step too.
    timeout --foreground --kill-after=20 "$bound" "$@" && return
    code=$?
    echo "--- $name: failed ($code)" >&2
    exit "$code"
}

# An environment with these packages; a folder that has them already is left as it is.
environment() {
    local place=$1 wanted=$2
    cmp -s "$wanted" "$place/installed.txt" && return
    step 60 "an environment for $wanted" python3 -m venv --clear "$place"
    step 600 "its packages" "$place/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$place/installed.txt"
}

modules() {
    cmp -s package.json "$folder/npm/package.json" && [ -d "$folder/npm/node_modules/openai" ] && return
    mkdir -p "$folder/npm"
    cp package.json "$folder/npm/"
    step 300 "Node's packages" npm install --prefix "$folder/npm" --silent --no-audit --no-fund \
        --no-package-lock --ignore-scripts
}

# A client program with a house of its own.
client() {
    local name=$1
    shift
    step 240 "$name" "$python" house.py "$binary" "$folder" "$@"
}

environment "$folder/venv" requirements.txt
environment "$folder/older" requirements-older.txt
modules

step 120 "our requests fit the SDKs' types" "$python" validate_cassettes.py
step 60 "those with sampling fit the older SDK's" "$older" validate_cassettes.py --sampling
client "openai for Python" "$python" openai_client.py
client "openai for Node" node openai_client.mjs
client "anthropic for Python" "$python" anthropic_client.py
client "langchain-openai" "$python" langchain_client.py
client "litellm" "$older" litellm_client.py
client "grpcio, by reflection" "$python" reflected_client.py
client "clients/python" env PYTHONPATH=../../clients/python \
    sh -c 'exec "$0" ../../clients/python/example.py "${POINTSMAN#http://}"' "$python"
step 180 "mocks as providers" "$python" mocks.py "$binary" "$folder" "$folder/npm" "$folder/older/bin/llmock"
echo "--- all clients passed in ${SECONDS} s"
