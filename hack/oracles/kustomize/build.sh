#!/bin/sh
# Builds the pinned kustomize into ~/.cache/lockgate/oracles, for the benchmark of `lockgate build`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
oracles="${XDG_CACHE_HOME:-$HOME/.cache}/lockgate/oracles"
mkdir -p "$oracles"
cd "$here"
go build -trimpath -o "$oracles/kustomize" sigs.k8s.io/kustomize/kustomize/v5
echo "$oracles/kustomize"
