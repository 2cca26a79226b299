#!/bin/sh
# Runs every Fuzz target of the tree for the given time each (default 20s). What a fuzzer
# finds is left in the package's testdata/fuzz and repeated by its ordinary tests.
set -eu
cd "$(dirname "$0")/.."
time=${1:-20s}
list=$(grep -rlE '^func Fuzz[A-Za-z0-9_]*\(f \*testing\.F\)' --include='*_test.go' . | sort)
[ -n "$list" ] || { echo "fuzz.sh: no fuzz targets found" >&2; exit 1; }
failed=""
for file in $list; do
	pkg=$(dirname "$file")
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(f \*testing\.F\).*/\1/p' "$file"); do
		echo "== $pkg $target ($time)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg" || failed="$failed $pkg:$target"
	done
done
[ -z "$failed" ] || { echo "fuzz.sh: failed:$failed" >&2; exit 1; }
