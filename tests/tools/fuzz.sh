#!/bin/sh
# Fuzzes.
#
#   fuzz.sh SECONDS JOBS FOLDER target...
#
# Each target runs for SECONDS, JOBS of them at a time, from its corpus in tests/fuzz/corpus and from what it found before, in
# FOLDER/NAME. What breaks it is kept in FOLDER beside that, and how to run it again is printed. Prints a line for each.
set -u

one() {
    prog=$1 name=${1##*/fuzz_}
    work=$FUZZ_FOLDER/$name log=$FUZZ_FOLDER/$name.log
    mkdir -p "$work"
    if "$prog" -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$FUZZ_FOLDER/$name-" "$work" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
        printf '  ok   %-12s %10s runs, %6s edges, %5s inputs\n' "$name" "$runs" "$edges" "$(ls "$work" | wc -l)"
        return 0
    fi
    tail -40 "$log"
    printf '  FAIL %-12s see %s; again: %s %s\n' "$name" "$log" "$prog" "$(ls -t "$FUZZ_FOLDER/$name"-* 2>/dev/null | head -1)"
    return 1
}

if [ "$1" = --one ]; then
    one "$2"
    exit
fi
FUZZ_SECONDS=$1 jobs=$2 FUZZ_FOLDER=$3
shift 3
export FUZZ_SECONDS FUZZ_FOLDER
mkdir -p "$FUZZ_FOLDER"
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" sh "$0" --one
