#!/bin/sh
# Compares the shared library with the ABI that is kept in tests/abi, or keeps a new one.
#
#   check_abi.sh check|update build-folder
#
# symbols.txt    the exported symbols with their versions: what a host can link
# liborch.abi    the types behind them (libabigail): what a host compiled into itself
# constants.txt  the values of the public constants: a host and its bindings compiled them in too, and
#                libabigail does not see those of an enum that no function names
#
# Any difference fails, an addition too: it shall be seen in the commit that makes it, by its
# `make abi-update`. A change that breaks hosts needs a new soname as well.
set -eu

action=$1
build=$2
kept=tests/abi
new=$build/abi
lib=$build/liborch.so
mkdir -p "$new"

nm -D --defined-only --format=posix "$lib" | awk '$2 != "A" { print $1 }' | LC_ALL=C sort >"$new/symbols.txt"
# Neither paths nor line numbers go into the dump, and of types only what the public headers show: an edit that
# changes no ABI leaves the dump as it is.
abidw --no-show-locs --no-comp-dir-path --no-corpus-path --headers-dir include/orch --drop-private-types \
    --drop-undefined-syms --type-id-style hash --out-file "$new/liborch.abi" "$lib"

# Every public constant and its value, but for the version. Macros that are no values (ORCH_API, guards) are
# left out by what they stand for.
constants() {
    : "${CC:=cc}"
    echo '#include <orch/orch.h>' >"$new/all.c"
    {
        $CC -Iinclude -E -dM "$new/all.c" | awk '$1 == "#define" && $2 ~ /^ORCH_[A-Z0-9_]+$/ && $3 ~ /^[-("0-9O]/ { print $2 }'
        $CC -Iinclude -E -P "$new/all.c" | grep -o '\<ORCH_[A-Z0-9_]*\>' || :
    } | grep -v '^ORCH_VERSION' | LC_ALL=C sort -u >"$new/names"
    {
        cat <<'C'
#include <orch/orch.h>
#include <stdio.h>
static void number(const char *n, long long v) { printf("%s %lld\n", n, v); }
static void text(const char *n, const char *v) { printf("%s \"%s\"\n", n, v); }
int main(void) {
C
        sed 's/.*/_Generic((&), char *: text, const char *: text, default: number)("&", (&));/' "$new/names"
        echo 'return 0; }'
    } >"$new/constants.c"
    $CC -std=c11 -Iinclude -o "$new/constants" "$new/constants.c" && "$new/constants"
}
constants >"$new/constants.txt"

if [ "$action" = update ]; then
    mkdir -p "$kept"
    cp "$new/symbols.txt" "$new/constants.txt" "$new/liborch.abi" "$kept/"
    echo "abi-update: $(wc -l <"$kept/symbols.txt") symbols and $(wc -l <"$kept/constants.txt") constants kept in $kept"
    exit 0
fi

failed=
for list in symbols constants; do
    if [ ! -f "$kept/$list.txt" ] || [ ! -f $kept/liborch.abi ]; then
        echo "check-abi: nothing to compare with: run make abi-update and commit $kept" >&2
        exit 1
    fi
    if ! diff -u "$kept/$list.txt" "$new/$list.txt" >&2; then
        echo "check-abi: the public $list differ" >&2
        failed=1
    fi
done

# A dump is of one architecture; elsewhere the symbols have to do.
architecture() { sed -n "s/.* architecture='\([^']*\)'.*/\1/p" "$1" | head -n 1; }
if [ "$(architecture $kept/liborch.abi)" = "$(architecture "$new/liborch.abi")" ]; then
    status=0
    abidiff "$kept/liborch.abi" "$new/liborch.abi" >"$new/report.txt" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$new/report.txt" >&2
        # The 8 in abidiff's exit status: hosts that were built before would break.
        if [ $((status & 8)) -ne 0 ]; then echo "check-abi: hosts that exist would break" >&2
        else echo "check-abi: the ABI differs" >&2; fi
        failed=1
    fi
else
    echo "check-abi: the dump is of another architecture; compared the symbols only"
fi
if [ -n "$failed" ]; then
    echo "If that is meant: make abi-update, and commit $kept with the change." >&2
    exit 1
fi
echo "check-abi: $(wc -l <"$kept/symbols.txt") symbols and $(wc -l <"$kept/constants.txt") constants, unchanged"
