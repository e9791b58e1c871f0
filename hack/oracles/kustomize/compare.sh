#!/bin/sh
# Builds every kustomization below a directory with `lockgate build` and with the pinned kustomize, and
# compares what they print: hack/oracles/kustomize/compare.sh DIR [LOCKGATE]
# Those that need other hosts are passed over: the oracle would fetch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
lockgate=${2:-$here/../../../target/debug/lockgate}
oracle=$("$here/build.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
same=0 refused=0 remote=0 different=0
find "$dir" \( -name kustomization.yaml -o -name kustomization.yml -o -name Kustomization \) \
	-exec dirname {} \; | sort -u >"$work/list"
while read -r path; do
	if "$lockgate" build "$path" >"$work/ours" 2>"$work/ours.err"; then ours=0; else ours=1; fi
	if grep -q 'remote bases are not allowed' "$work/ours.err"; then
		remote=$((remote + 1))
		continue
	fi
	if "$oracle" build "$path" >"$work/theirs" 2>"$work/theirs.err"; then theirs=0; else theirs=1; fi
	if [ $ours = 0 ] && [ $theirs = 0 ] && cmp -s "$work/ours" "$work/theirs"; then
		same=$((same + 1))
	elif [ $ours = 1 ] && [ $theirs = 1 ]; then
		refused=$((refused + 1))
		[ -z "${REFUSED:-}" ] || { echo "refused $path"; head -c 600 "$work/ours.err"; head -c 600 "$work/theirs.err"; }
	else
		different=$((different + 1))
		echo "DIFFERS $path"
		diff "$work/ours" "$work/theirs" | head -10 || true
		head -c 600 "$work/ours.err" "$work/theirs.err"
	fi
done <"$work/list"
echo "$dir: $same the same, $refused refused by both, $remote need other hosts, $different different"
[ $different = 0 ]
