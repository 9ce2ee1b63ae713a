#!/bin/sh
# Generates orchpb/ from engine.proto, with the generators of the versions in go.mod.
#
#   generate.sh [PROTOS]    the folder that orch/v1/engine.proto is under; the project's own by default
#
# PROTOC is the compiler: protoc by default.
set -eu
here=$(dirname "$0")
protos=$(cd "${1:-$here/../../../proto}" && pwd)
cd "$here"
file=orch/v1/engine.proto

go build -o bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
# shellcheck disable=SC2086 -- PROTOC may have arguments
PATH=$PWD/bin:$PATH ${PROTOC:-protoc} "-I$protos" --go_out=. --go-grpc_out=. \
    --go_opt=module=orch-engine "--go_opt=M$file=orch-engine/orchpb" \
    --go-grpc_opt=module=orch-engine "--go-grpc_opt=M$file=orch-engine/orchpb" "$file"
