#!/bin/sh
# Writes what Go's YAML libraries say about each golden document of crates/engines/yaml beside it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
golden="$here/../../../crates/engines/yaml/tests/golden"
oracle=$(mktemp)
trap 'rm -f "$oracle"' EXIT
(cd "$here" && go build -o "$oracle" .)
for case in "$golden"/*.yaml; do
	echo "$case" | "$oracle" -list -bare >"${case%.yaml}.json"
done
