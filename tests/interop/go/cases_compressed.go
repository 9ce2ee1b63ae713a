package main

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "interop/testing"
)

func clientCompressedUnary(t *target) error {
	ctx, cancel := background()
	defer cancel()
	request := largeUnaryRequest()
	request.ExpectCompressed = &pb.BoolValue{Value: true}
	// Does the server look at all?
	if err := expectStatus(callLarge(ctx, t.stub, request), codes.InvalidArgument); err != nil {
		return err
	}
	if err := callLarge(ctx, t.stub, request, grpc.UseCompressor("gzip")); err != nil {
		return err
	}
	request.ExpectCompressed = &pb.BoolValue{Value: false}
	return callLarge(ctx, t.stub, request)
}

func serverCompressedUnary(t *target) error {
	for _, compressed := range []bool{true, false} {
		ctx, cancel := background()
		defer cancel()
		ctx, state := withReceived(ctx)
		request := largeUnaryRequest()
		request.ResponseCompressed = &pb.BoolValue{Value: compressed}
		if err := callLarge(ctx, t.stub, request); err != nil {
			return err
		}
		if err := expect("response is compressed", state.last(), compressed); err != nil {
			return err
		}
	}
	return nil
}

func serverCompressedStreaming(t *target) error {
	ctx, cancel := background()
	defer cancel()
	ctx, state := withReceived(ctx)
	request := outputRequest(0, 31415, 92653)
	compressed := []bool{true, false}
	for i, one := range request.ResponseParameters {
		one.Compressed = &pb.BoolValue{Value: compressed[i]}
	}
	stream, err := t.stub.StreamingOutputCall(ctx, request)
	if err != nil {
		return err
	}
	if err := expectResponses(stream, 31415, 92653); err != nil {
		return err
	}
	return expect("responses are compressed", fmt.Sprint(state.all()), fmt.Sprint(compressed))
}
