#!/bin/sh
# clang-tidy and cppcheck over the sources given, clang-format over every source of the tree. All three run
# to their end, so that one look shows everything.
#
#   lint.sh build-folder source...      (build-folder holds compile_commands.json)
set -u

build=$1
shift
jobs=${JOBS:-2}
failed=

step() { printf '  %-4s %s\n' LINT "$1"; }

if [ $# -gt 0 ]; then
    step clang-tidy
    # It counts on stderr what it suppressed in system headers, which nobody wants to know.
    printf '%s\n' "$@" | xargs -P "$jobs" -n 4 clang-tidy -p "$build" --quiet 2>"$build/clang-tidy.err" || failed=1
    grep -v '^[0-9]* warnings\? \(generated\|treated\)' "$build/clang-tidy.err" >&2

    step cppcheck
    # Without system headers: their macros multiply the configurations and find nothing of ours. Off are:
    #   AssignmentAddressToInteger, CastIntegerToAddressAtReturn: the compilers find these as errors, and cppcheck
    #     takes for integers what is declared with a word of C++ (`template *`), and some members besides
    #   varFuncNullUB: POSIX has NULL a pointer, so it may end a list of arguments
    #   readdirCalled, strtokCalled: only tests call them, each from one thread; readdir_r is deprecated
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --language=c -j "$jobs" \
        --library=posix,gnu,tests/tools/lint/cppcheck.cfg --enable=warning,performance,portability \
        --suppress=missingInclude --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
        --suppress=AssignmentAddressToInteger --suppress=CastIntegerToAddressAtReturn \
        --suppress=varFuncNullUB --suppress=readdirCalled --suppress=strtokCalled \
        -D_GNU_SOURCE -DORCH_WITH_CURL=1 -DORCH_WITH_YAML=1 -Iinclude -Ilib -Itests -Itests/tools/lint \
        --template='{file}:{line}: {severity}: {message} [{id}]' "$@" || failed=1
fi

step clang-format
find lib include tests examples \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) 2>/dev/null | sort |
    xargs -r clang-format --dry-run -Werror || failed=1

[ -z "$failed" ]
