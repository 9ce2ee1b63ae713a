#!/bin/sh
# Turns what a coverage build counted into two percentages and a folder of HTML.
#
#   coverage.sh build-folder
set -eu

build=$1
info=$build/coverage.info
# The option's name differs between lcov 1 and 2; each ignores the other's.
branches='--rc lcov_branch_coverage=1 --rc genhtml_branch_coverage=1'

# Debian's lcov 1 has perl complain about its own functions on each run.
lcov() { command lcov "$@" 2>"$build/lcov.err" || { cat "$build/lcov.err" >&2; return 1; }; }

# shellcheck disable=SC2086
{
    lcov $branches --quiet --capture --directory "$build/obj/lib" --base-directory "$PWD" --no-external --output-file "$info"
    lcov $branches --quiet --extract "$info" "$PWD/lib/*" --output-file "$info"
    genhtml $branches --quiet --prefix "$PWD" --title liborch --output-directory "$build/html" "$info"
    lcov $branches --summary "$info" | grep -E 'lines|branches'
}
echo "  HTML $build/html/index.html"
