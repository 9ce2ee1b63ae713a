#!/bin/sh
# Fails allocations, one in each run of what a program tests: each EVERY-th, from the FROM-th on. Much of that time goes by with waiting, so
# that several parts of them go side by side.
#
#   oom.sh every from program...
set -u

every=$1 from=$2
shift 2
parts=4 pids= failed=0

echo "  every allocation of $every, from $from on: EVERY=$every FROM=$from"
for part in $(seq 0 $((parts - 1))); do
    OOM_EVERY=$((every * parts)) OOM_FROM=$((from + every * part)) sh tests/tools/run_tests.sh -j 1 -t 3600 "$@" &
    pids="$pids $!"
done
for pid in $pids; do
    wait "$pid" || failed=1
done
exit $failed
