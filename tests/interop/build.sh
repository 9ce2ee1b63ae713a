#!/bin/sh
# Builds one of the official peers, or h2spec, out of this folder into another one; or an engine, out of examples/engines.
#
#   build.sh python|go|node|h2spec|engine_python|engine_go OUT
#
# OUT/python has to be there before OUT/go and the engines: it brings the protoc that all use. The versions are those that
# requirements.txt, go.mod and package-lock.json name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kind=$1
mkdir -p "$2/$kind"
out=$(cd "$2" && pwd)
protos=${INTEROP_PROTO:-/usr/share/grpc-proto}
files='grpc/testing/test.proto grpc/testing/messages.proto grpc/testing/empty.proto'

export GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0

protoc() {
    "$out/python/venv/bin/python" -m grpc_tools.protoc "-I$protos" "$@"
}

build_python() {
    cd "$out/python"
    "${PYTHON:-python3}" -m venv --clear venv
    venv/bin/pip install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
    rm -rf generated && mkdir generated
    # shellcheck disable=SC2086 -- a list of files
    protoc --python_out=generated --grpc_python_out=generated $files
}

# The generated code has to lie in the peer's own module, so all of it is built in a copy.
build_go() {
    cd "$out/go"
    rm -f ./*.go
    cp "$here"/go/*.go "$here"/go/go.mod "$here"/go/go.sum .
    go build -o . google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
    options='--go_opt=module=interop --go-grpc_opt=module=interop'
    for file in $files; do
        options="$options --go_opt=M$file=interop/testing --go-grpc_opt=M$file=interop/testing"
    done
    # shellcheck disable=SC2086 -- lists of options and files
    PATH=$out/go:$PATH protoc --go_out=. --go-grpc_out=. $options $files
    go build -o peer .
}

build_h2spec() {
    cd "$out/h2spec"
    cp "$here"/h2spec/* .
    go build -o . github.com/summerwind/h2spec/cmd/h2spec
}

build_node() {
    cd "$out/node"
    cp "$here"/node/*.js "$here"/node/package.json "$here"/node/package-lock.json .
    npm ci --silent --ignore-scripts --no-audit --no-fund
}

# It runs where it is; the code that is generated for it stands here.
build_engine_python() {
    cd "$out/engine_python"
    "$out/python/venv/bin/python" -m grpc_tools.protoc "-I$root/proto" --python_out=. --grpc_python_out=. orch/v1/engine.proto
}

# The generated code has to lie in the engine's own module, so all of it is built in a copy. Its own tests are run here, too.
build_engine_go() {
    cd "$out/engine_go"
    rm -rf ./*.go orchpb
    cp "$root"/examples/engines/go/*.go "$root"/examples/engines/go/go.* "$root/examples/engines/go/generate.sh" .
    PROTOC="$out/python/venv/bin/python -m grpc_tools.protoc" sh generate.sh "$root/proto"
    unformatted=$(gofmt -l ./*.go)
    if [ -n "$unformatted" ]; then
        echo "gofmt would change $unformatted" >&2
        exit 1
    fi
    go vet .
    CGO_ENABLED=1 go test -race -count=1 .
    go build -o engine .
}

"build_$kind"
touch "$out/$kind/built"
