#!/bin/sh
# Runs all of h2spec's tests of HTTP/2 and HPACK, the strict ones too, against a server on 127.0.0.1, and prints those
# that fail, what it says of them, and last "N passed, N failed, N skipped".
#
#   h2spec.sh [-k KNOWN] PORT            a server that runs
#   h2spec.sh [-k KNOWN] COMMAND...      one that is started here, prints "listening PORT" and is ended by SIGTERM
#
# The first word of each line of KNOWN is a test that is known to fail (http2/5.1/9); after it stands why. One that
# fails and is not listed is an error, and so is one that is listed and passes. H2SPEC is the program (make h2spec).
set -eu

known=/dev/null
while getopts k: option; do
    case $option in
    k) known=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
: "${H2SPEC:=build/interop/h2spec/h2spec}"
[ $# -gt 0 ] || { echo 'h2spec.sh: a port, or the command of a server' >&2; exit 2; }

tmp=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || :
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Opening the pipe waits for the server, and reading from it for the line or for the server's end.
start_server() {
    mkfifo "$tmp/said"
    "$@" >"$tmp/said" 2>"$tmp/errors" &
    server=$!
    exec 3<"$tmp/said"
    read -r word port <&3 || word=
    [ "$word" = listening ] || { echo "h2spec.sh: the server does not say its port: $*" >&2; cat "$tmp/errors" >&2; exit 1; }
}

case $1 in
*[!0-9]*) start_server "$@" ;;
*) port=$1 ;;
esac

# Its exit status says that some failed; whether it ran at all the closing line says.
"$H2SPEC" --strict --host 127.0.0.1 --port "$port" >"$tmp/out" 2>&1 || :
summary=$(sed -n 's/^\([0-9]*\) tests, \([0-9]*\) passed, \([0-9]*\) skipped, \([0-9]*\) failed$/\2 passed, \4 failed, \3 skipped/p' "$tmp/out")
[ -n "$summary" ] || { cat "$tmp/out" >&2; exit 1; }
if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
    echo 'h2spec.sh: the server has died' >&2
    cat "$tmp/errors" >&2
    exit 1
fi

# Under "Failures:" the name of a test is spread over the headings that it stands under.
sed '1,/^Failures:/d' "$tmp/out" | awk -v failed="$tmp/failed" '
    /^Generic tests/ { suite = "generic" }
    /^Hypertext Transfer/ { suite = "http2" }
    /^HPACK/ { suite = "hpack" }
    /^ +[0-9.]+\. / { section = $1; sub(/\.$/, "", section) }
    /^ +× [0-9]+: / {
        number = $2; sub(/:$/, "", number)
        name = suite "/" section "/" number
        print name >failed
        title = $0; sub(/^ +× [0-9]+: /, "", title)
        print "  FAIL " name "  " title
        indent = index($0, "×")
        next
    }
    # Indented more than the test: what h2spec says of it.
    indent && substr($0, 1, indent + 1) ~ /^ +$/ { print "       " substr($0, indent + 2); next }
    { indent = 0 }'
touch "$tmp/failed"
awk 'NF && !/^#/ { print $1 }' "$known" | sort >"$tmp/known"
sort -o "$tmp/failed" "$tmp/failed"
unexpected=$(comm -23 "$tmp/failed" "$tmp/known")
cured=$(comm -13 "$tmp/failed" "$tmp/known")
[ ! -s "$tmp/known" ] || echo "Of these are not known:" $unexpected
[ -z "$cured" ] || echo "Known to fail, but passed:" $cured
echo "$summary"
[ -z "$unexpected$cured" ]
