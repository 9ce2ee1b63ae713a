//go:build tools

// Pins, in go.mod, the generators of the code that the engine is built with.
package main

import (
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
