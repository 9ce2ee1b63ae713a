#!/bin/sh
# Turns what a coverage build counted into percentages for each folder of lib/ and a folder of HTML.
#
#   coverage.sh build-folder
set -eu

build=$1
info=$build/coverage.info
# The option's name differs between lcov 1 and 2; each ignores the other's.
branches='--rc lcov_branch_coverage=1 --rc genhtml_branch_coverage=1'
# The other branch of an assertion is an abort, and the branches inside uthash's macros are not ours to reach.
not_ours='--rc lcov_excl_br_line=LCOV_EXCL_BR_LINE|assert\(|HASH_[A-Z]'

# Debian's lcov 1 has perl complain about its own functions on each run.
lcov() { command lcov "$@" 2>"$build/lcov.err" || { cat "$build/lcov.err" >&2; return 1; }; }

# shellcheck disable=SC2086
{
    lcov $branches $not_ours --quiet --capture --directory "$build/obj/lib" --base-directory "$PWD" --no-external --output-file "$info"
    lcov $branches --quiet --extract "$info" "$PWD/lib/*" --output-file "$info"
    genhtml $branches --quiet --prefix "$PWD" --title liborch --output-directory "$build/html" "$info"
}
awk -F: -v root="$PWD/" '
    function share(hit, of) { return of ? sprintf("%5.1f %% of %5d", 100 * hit / of, of) : "" }
    function row(name) {
        printf "  %-24s lines %s   branches %s\n", name, share(lh[name], lf[name]), share(bh[name], bf[name])
    }
    $1 == "SF" { folder = substr($0, 4 + length(root)); sub("/[^/]*$", "", folder); seen[folder] = 1 }
    $1 == "LF" { lf[folder] += $2; lf["lib"] += $2 }
    $1 == "LH" { lh[folder] += $2; lh["lib"] += $2 }
    $1 == "BRF" { bf[folder] += $2; bf["lib"] += $2 }
    $1 == "BRH" { bh[folder] += $2; bh["lib"] += $2 }
    END {
        row("lib")
        for (folder in seen)
            row(folder)
    }' "$info" | sort
echo "  HTML $build/html/index.html"
