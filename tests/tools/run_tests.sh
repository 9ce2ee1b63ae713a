#!/bin/sh
# Runs test programs, several at a time, each in a temporary folder of its own that is gone afterwards.
# Prints a line for each, the full output of those that failed, and last "N passed, M failed".
#
#   run_tests.sh [-j jobs] [-t seconds] [-v] program...
#
# RUNNER is put before each program (valgrind and the like). -v shows the output as it comes, one program
# at a time. Numbers are cmocka's tests; a program without cmocka counts as one, and so does one that
# died before it could say more.
set -u

jobs=1 timeout=120 verbose=

# ---- One program: called by xargs below.
run_one() {
    prog=$1
    name=$(echo "$prog" | sed 's|.*/tests/||')
    log=$RT_DIR/$(echo "$name" | tr / _)
    tmp=$(mktemp -d)
    start=$(date +%s%N)
    # shellcheck disable=SC2086 -- RUNNER is a command with its arguments
    set -- timeout -k 10 "$RT_TIMEOUT" ${RUNNER-} "$prog"
    if [ -n "$RT_VERBOSE" ]; then
        { TMPDIR=$tmp "$@" 2>&1 </dev/null; echo $? >"$log.status"; } | tee "$log.log"
        status=$(cat "$log.status")
    else
        TMPDIR=$tmp "$@" >"$log.log" 2>&1 </dev/null
        status=$?
    fi
    millis=$((($(date +%s%N) - start) / 1000000))
    rm -rf "$tmp"

    # A program with several groups prints several sums; one that died prints none, only its OKs.
    counts=$(awk '
        /^\[  PASSED  \] [0-9]+ test/ { passed += $4; summed = 1 }
        /^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
        /^\[  FAILED  \] [^0-9]/ { bad++ }
        /^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
        /^\[       OK \]/ { ok++ }
        END { print (summed ? passed : ok) + 0, (summed ? failed : bad) + 0, skipped + 0 }' "$log.log")
    # shellcheck disable=SC2086 -- three numbers
    set -- $counts
    passed=$1 failed=$2 skipped=$3
    why=
    if [ "$status" -ne 0 ]; then
        # Of a program that died its last test is not among the failed ones yet.
        [ "$failed" -gt 0 ] && grep -q '^\[  PASSED  \]' "$log.log" || failed=$((failed + 1))
        [ "$status" -lt 124 ] || why="  exit status $status"
        [ "$status" -ne 124 ] || why="  still ran after $RT_TIMEOUT s"
    elif [ "$failed" -eq 0 ] && [ $((passed + skipped)) -eq 0 ]; then
        passed=1
    fi
    echo "$passed $failed $skipped" >"$log.counts"

    note=$passed
    [ "$failed" -eq 0 ] || note="$note passed, $failed failed"
    [ "$skipped" -eq 0 ] || note="$note, $skipped skipped"
    # One program's lines stay together although several print.
    {
        flock 9
        [ "$failed" -eq 0 ] || [ -n "$RT_VERBOSE" ] || cat "$log.log"
        printf '  %-4s %-44s %3d.%03d s  %s%s\n' "$([ "$failed" -eq 0 ] && echo ok || echo FAIL)" "$name" \
            $((millis / 1000)) $((millis % 1000)) "$note" "$why"
        [ "$skipped" -eq 0 ] || sed -n 's/^skipped: /       skipped: /p' "$log.log"
    } 9>"$RT_DIR/lock"
}

if [ "${1-}" = --one ]; then
    run_one "$2"
    exit 0
fi

# ---- All of them.
while getopts j:t:v option; do
    case $option in
    j) jobs=$OPTARG ;;
    t) timeout=$OPTARG ;;
    v) verbose=1 jobs=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -eq 0 ]; then
    echo 'run_tests.sh: no such test' >&2
    exit 1
fi

RT_DIR=$(mktemp -d)
trap 'rm -rf "$RT_DIR"' EXIT
trap 'exit 130' INT TERM
export RT_DIR RT_TIMEOUT="$timeout" RT_VERBOSE="$verbose"

# What the sanitizers shall do; a caller's own wish goes first. A test may fork while it has threads.
export ASAN_OPTIONS="${ASAN_OPTIONS-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS-second_deadlock_stack=1:die_after_fork=0}"
# Newer kernels scatter memory more widely than gcc's ThreadSanitizer can follow.
if [ "${MODE-}" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
    RUNNER="setarch $(uname -m) -R ${RUNNER-}"
fi
# Valgrind and the sanitizers are slow, and a test that must scale down can see which of them it is.
export RUNNER="${RUNNER-}" TEST_MODE="${MODE-check}"

for prog; do echo "$prog"; done | xargs -P "$jobs" -I{} sh "$0" --one {}

if ls "$RT_DIR"/*.counts >/dev/null 2>&1; then
    cat "$RT_DIR"/*.counts | awk '
        { passed += $1; failed += $2; skipped += $3 }
        END {
            if (skipped) printf "%d skipped\n", skipped
            printf "%d passed, %d failed\n", passed, failed
            exit failed > 0
        }'
else
    echo "0 passed, $# failed"
    exit 1
fi
