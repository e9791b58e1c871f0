#!/bin/sh
# Writes what kustomize makes of the cases of crates/engines/kustomize/tests/cases into them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cases=$(cd "$here/../../../crates/engines/kustomize/tests/cases" && pwd)
oracle=$(mktemp)
trap 'rm -f "$oracle"' EXIT
(cd "$here" && go build -o "$oracle" .)
"$oracle" -record "$cases"/*.txt
