#!/usr/bin/env bash
# Makes pointsman/v1/*_pb2*.py(i) anew from proto/. Needs Python 3 and the network, once: a fresh
# environment in a temporary folder gets grpcio-tools. The version decides how old the grpcio and
# protobuf may be that the stubs run with (protobuf's are good for its own major version and the next),
# so it is a settled one, not the newest.
set -euo pipefail
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check 'grpcio-tools==1.74.0'
"$scratch/venv/bin/python" -m grpc_tools.protoc --proto_path=../../proto \
    --python_out=. --pyi_out=. --grpc_python_out=. \
    pointsman/v1/{admin,chat,decision,policy,pointsman}.proto
# Only admin and pointsman hold a service.
rm -f pointsman/v1/{chat,decision,policy}_pb2_grpc.py
