#!/bin/sh
# Compares crates/engines/yaml with Go's YAML libraries.
#   compare.sh SEED COUNT      COUNT generated documents
#   compare.sh < LIST          the files a list names, one a line
set -eu
here=$(cd "$(dirname "$0")" && pwd)
oracle=$(mktemp)
trap 'rm -f "$oracle"' EXIT
(cd "$here" && go build -o "$oracle" .)
cd "$here/../../../crates/engines/yaml"
cargo build --quiet --release --examples
examples=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/examples
if [ $# -eq 2 ]; then
	"$examples/odd_yaml" "$1" "$2" | "$oracle" | "$examples/compare"
else
	"$oracle" -list | "$examples/compare"
fi
