#!/bin/sh
# What one would try by hand: requests that are not quite those of a gRPC client, made with curl, nghttp and openssl, against a server of
# ours. Each has to be answered as gRPC over HTTP/2 says, and a right call after it.
#
#   by_hand.sh COMMAND...      the server, which prints "listening PORT" and is ended by SIGTERM; --tls CERT KEY is added for TLS
set -eu

tmp=$(mktemp -d)
plain='' secure='' failed=0 count=0
clean_up() {
    [ -z "$plain" ] || kill -TERM "$plain" 2>/dev/null || :
    [ -z "$secure" ] || kill -TERM "$secure" 2>/dev/null || :
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Sets pid and port. Reading from the pipe waits for the line, or for the server's end.
start() {
    rm -f "$tmp/said"
    mkfifo "$tmp/said"
    "$@" >"$tmp/said" 2>"$tmp/errors" &
    pid=$!
    exec 3<"$tmp/said"
    read -r word port <&3 || word=
    [ "$word" = listening ] || { echo "by_hand.sh: the server does not say its port: $*" >&2; cat "$tmp/errors" >&2; exit 1; }
}

# expect NAME GOT REGEX...: each matches a line of the file GOT, headers and trailers alike; !REGEX: none does.
expect() {
    name=$1 got=$2
    shift 2
    count=$((count + 1))
    for pattern; do
        case $pattern in
        !*) ! tr -d '\r' <"$got" | grep -Eiq -- "^${pattern#!}" && continue ;;
        *) tr -d '\r' <"$got" | grep -Eiq -- "^$pattern" && continue ;;
        esac
        failed=$((failed + 1))
        echo "FAILED $name: no '$pattern' in:"
        sed 's/^/    /' "$got"
        return
    done
    echo "  ok   $name"
}

service=/grpc.testing.TestService
type='content-type: application/grpc'

# ask PATH [CURL'S ARGUMENTS...]: what came is in $tmp/got.
ask() {
    path=$1
    shift
    : >"$tmp/got"
    curl -sS --max-time 20 --http2-prior-knowledge -D "$tmp/got" -o "$tmp/body" "$@" "http://127.0.0.1:$port$path" 2>"$tmp/curl" || cat "$tmp/curl" >>"$tmp/got"
}
message() { printf "$@" >"$tmp/message"; } # an octal text: flag, length, bytes
# call PATH [-H'NAME: VALUE'...]: as gRPC's clients ask, with $tmp/message. By nghttp: curl takes an answer that comes before it has sent
# everything, and the RST_STREAM of NO_ERROR behind it, for an error (until 8.0).
call() {
    path=$1
    shift
    nghttp -v --timeout=20 -H':method: POST' -H"$type" -H'te: trailers' -d "$tmp/message" "$@" "http://127.0.0.1:$port$path" >"$tmp/frames" 2>&1 || :
    sed 's/\x1b\[[0-9;]*m//g; s/^ *//; s/^.*recv (stream_id=[0-9]*) //' "$tmp/frames" >"$tmp/got"
}
right() { # the server is as it was
    message '\0\0\0\0\0'
    ask $service/EmptyCall -X POST -H "$type" -H 'te: trailers' --data-binary "@$tmp/message"
    expect "$1, and then a right call" "$tmp/got" 'HTTP/2 200' 'content-type: application/grpc' 'grpc-status: 0'
    [ "$(od -An -tx1 "$tmp/body" | tr -d ' \n')" = 0000000000 ] || { failed=$((failed + 1)); echo "FAILED $1: the message is not an empty one"; }
}

start "$@"
plain=$pid
right 'a call'

# ---- requests that are none of gRPC
ask $service/EmptyCall -X GET -H "$type"
expect 'GET' "$tmp/got" 'HTTP/2 405' 'grpc-status: 12'
ask $service/EmptyCall -X POST -H 'content-type: text/plain' --data-binary x
expect 'another content type' "$tmp/got" 'HTTP/2 415' 'grpc-status: 2'
ask $service/EmptyCall -X POST -H 'content-type: application/grpc-web' --data-binary x
expect 'a content type that only begins like it' "$tmp/got" 'HTTP/2 415'
ask $service/EmptyCall -X POST -H 'content-type:' --data-binary x
expect 'no content type' "$tmp/got" 'HTTP/2 415'
message '\0\0\0\0\0'
ask $service/EmptyCall -X POST -H 'content-type: application/grpc+proto' -H 'te: trailers' --data-binary "@$tmp/message"
expect 'application/grpc+proto' "$tmp/got" 'HTTP/2 200' 'grpc-status: 0'
right 'requests of others'

# ---- methods and metadata
call $service/Unknown
expect 'an unknown method' "$tmp/got" ':status: 200' 'grpc-status: 12' "grpc-message: method '$service/Unknown' is not here"
call /no.such.Service/Method%25%C3%A4
expect 'an unknown service; percents are encoded' "$tmp/got" ':status: 200' 'grpc-status: 12' 'grpc-message: .*Method%25(25)?%25'
call /
expect 'no method at all' "$tmp/got" ':status: 200' 'grpc-status: 12'
call $service/EmptyCall -H'grpc-timeout: 1x'
expect 'a timeout that is none' "$tmp/got" ':status: 200' 'grpc-status: 13'
call $service/EmptyCall -H'grpc-timeout: 123456789S'
expect 'a timeout of nine digits' "$tmp/got" ':status: 200' 'grpc-status: 13'
call $service/UnaryCall -H'grpc-timeout: 10S' -H'x-grpc-test-echo-initial: here'
expect 'metadata comes back' "$tmp/got" 'x-grpc-test-echo-initial: here' 'grpc-status: 0'
call $service/UnaryCall -H'x-grpc-test-echo-trailing-bin: AQI'
expect 'binary metadata without padding' "$tmp/got" 'x-grpc-test-echo-trailing-bin: AQI' 'grpc-status: 0'
call $service/EmptyCall -H"x-long: $(head -c 20000 /dev/zero | tr '\0' x)"
expect 'a header list of 20,000 bytes' "$tmp/got" ':status: 431' 'grpc-status: 8'
right 'odd methods and metadata'

# ---- messages
call $service/EmptyCall -H'grpc-encoding: snappy'
expect 'an unknown encoding' "$tmp/got" ':status: 200' 'grpc-status: 12' 'grpc-accept-encoding: .*gzip'
message '\1\0\0\0\0'
call $service/EmptyCall
expect 'the flag of compression, and no encoding' "$tmp/got" ':status: 200' 'grpc-status: 13'
message '\2\0\0\0\0'
call $service/EmptyCall
expect 'a flag that is none' "$tmp/got" ':status: 200' 'grpc-status: 13'
message '\0\377\377\377\377'
call $service/EmptyCall
expect 'a message of 4 GiB is announced' "$tmp/got" ':status: 200' 'grpc-status: 8'
message '\0\0\0\0\5abc'
call $service/EmptyCall
expect 'a message that ends early' "$tmp/got" ':status: 200' 'grpc-status: 13'
message ''
call $service/EmptyCall
expect 'no message' "$tmp/got" ':status: 200' 'grpc-status: 13'
message '\0\0\0\0\0\0\0\0\0\0'
call $service/EmptyCall
expect 'two messages, of which the first is answered' "$tmp/got" ':status: 200' 'grpc-status: 0'
message '\0\0\0\0\4\062\002\010\001' # response_compressed
call $service/UnaryCall
expect 'an answer is not compressed for who did not say that it can be' "$tmp/got" 'grpc-status: 0' '!grpc-encoding: gzip'
call $service/UnaryCall -H'grpc-accept-encoding: gzip'
expect 'and is for who did' "$tmp/got" 'grpc-status: 0' 'grpc-encoding: gzip'
message '\0\0\0\0\2\377\377'
call $service/UnaryCall
expect 'bytes that are no message of protobuf' "$tmp/got" ':status: 200' 'grpc-status: (3|13)'
right 'odd messages'

# ---- protocols
curl -sS --max-time 20 --http1.1 -o /dev/null "http://127.0.0.1:$port/" 2>"$tmp/got" || echo "exit $?" >>"$tmp/got"
expect 'HTTP/1.1 is not taken' "$tmp/got" 'exit (1|8|52|56)'
message '\0\0\0\0\0'
call $service/EmptyCall
expect 'frames of a right call' "$tmp/got" ':status: 200' 'grpc-status: 0' '.*recv SETTINGS frame' '!.*recv RST_STREAM' '!.*recv GOAWAY'
right 'other protocols'

# ---- TLS
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>"$tmp/openssl" || { cat "$tmp/openssl" >&2; exit 1; }
start "$@" --tls "$tmp/cert.pem" "$tmp/key.pem"
secure=$pid
secure_call() {
    : >"$tmp/got"
    curl -sS --max-time 20 --resolve "localhost:$port:127.0.0.1" --cacert "$tmp/cert.pem" -D "$tmp/got" -o "$tmp/body" -X POST -H "$type" -H 'te: trailers' \
        --data-binary "@$tmp/message" "$@" "https://localhost:$port$service/EmptyCall" 2>"$tmp/curl" || echo "exit $?" >>"$tmp/got"
}
secure_call --http2
expect 'TLS with ALPN' "$tmp/got" 'HTTP/2 200' 'grpc-status: 0'
secure_call --http1.1
expect 'TLS with ALPN of HTTP/1.1 alone' "$tmp/got" 'exit (35|52|56)'
secure_call --no-alpn
expect 'TLS without ALPN' "$tmp/got" 'exit (35|52|56)'
secure_call --http2 --tls-max 1.2
expect 'TLS 1.2' "$tmp/got" 'HTTP/2 200' 'grpc-status: 0'
echo | timeout 20 openssl s_client -connect "127.0.0.1:$port" -tls1_1 -cipher 'ALL:@SECLEVEL=0' -alpn h2 >"$tmp/got" 2>&1 || echo "exit $?" >>"$tmp/got"
expect 'TLS 1.1' "$tmp/got" 'exit 1'
secure_call --http2
expect 'TLS once more' "$tmp/got" 'HTTP/2 200' 'grpc-status: 0'

for server in "$plain" "$secure"; do
    kill -0 "$server" 2>/dev/null || { echo 'by_hand.sh: a server has died' >&2; exit 1; }
done
echo "by hand: $((count - failed)) passed, $failed failed"
[ "$failed" = 0 ]
