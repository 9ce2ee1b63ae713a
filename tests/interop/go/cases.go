package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "interop/testing"
)

// Left out: client_compressed_streaming, for this stack compresses all messages of a stream or none.
var cases = map[string]func(*target) error{
	"empty_unary":                 emptyUnary,
	"large_unary":                 largeUnary,
	"client_streaming":            clientStreaming,
	"server_streaming":            serverStreaming,
	"ping_pong":                   pingPong,
	"empty_stream":                emptyStream,
	"timeout_on_sleeping_server":  timeoutOnSleepingServer,
	"cancel_after_begin":          cancelAfterBegin,
	"cancel_after_first_response": cancelAfterFirstResponse,
	"status_code_and_message":     statusCodeAndMessage,
	"special_status_message":      specialStatusMessage,
	"custom_metadata":             customMetadata,
	"unimplemented_method":        unimplementedMethod,
	"unimplemented_service":       unimplementedService,
	"client_compressed_unary":     clientCompressedUnary,
	"server_compressed_unary":     serverCompressedUnary,
	"server_compressed_streaming": serverCompressedStreaming,
	"rpc_soak":                    rpcSoak,
	"channel_soak":                channelSoak,
	"concurrent_large_unary":      concurrentLargeUnary,
	"health_check":                healthCheck,
	"health_watch":                healthWatch,
	"reflection_v1":               reflectionV1,
	"reflection_v1alpha":          reflectionV1Alpha,
}

func emptyUnary(t *target) error {
	ctx, cancel := background()
	defer cancel()
	response, err := t.stub.EmptyCall(ctx, &pb.Empty{})
	if err != nil {
		return err
	}
	return expect("size of the response", proto.Size(response)+len(response.ProtoReflect().GetUnknown()), 0)
}

func largeUnary(t *target) error {
	ctx, cancel := background()
	defer cancel()
	return callLarge(ctx, t.stub, largeUnaryRequest())
}

func clientStreaming(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.stub.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	var sum int32
	for _, size := range requestSizes {
		sum += size
		if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(size)}); err != nil {
			return err
		}
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	return expect("sum of sizes", response.AggregatedPayloadSize, sum)
}

func serverStreaming(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.stub.StreamingOutputCall(ctx, outputRequest(0, responseSizes...))
	if err != nil {
		return err
	}
	return expectResponses(stream, responseSizes...)
}

type responseStream interface {
	Recv() (*pb.StreamingOutputCallResponse, error)
}

// Exactly these, and then the end with OK.
func expectResponses(stream responseStream, sizes ...int32) error {
	for _, size := range sizes {
		if err := expectResponse(stream, size); err != nil {
			return err
		}
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("instead of the end of the stream: %v", err)
	}
	return nil
}

func expectResponse(stream responseStream, size int32) error {
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	return expectPayload(response.Payload, size)
}

func pingPong(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i, size := range requestSizes {
		if err := stream.Send(outputRequest(size, responseSizes[i])); err != nil {
			return err
		}
		if err := expectResponse(stream, responseSizes[i]); err != nil {
			return err
		}
	}
	return firstError(stream.CloseSend(), expectResponses(stream))
}

func emptyStream(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	return firstError(stream.CloseSend(), expectResponses(stream))
}

func timeoutOnSleepingServer(t *target) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	stream, err := t.stub.FullDuplexCall(ctx)
	if err == nil {
		// It may be over before the request is out: Recv tells how it ended.
		_ = stream.Send(outputRequest(requestSizes[0]))
		_, err = stream.Recv()
	}
	return expectStatus(err, codes.DeadlineExceeded)
}

func cancelAfterBegin(t *target) error {
	ctx, cancel := background()
	stream, err := t.stub.StreamingInputCall(ctx)
	cancel()
	if err != nil {
		return err
	}
	_, err = stream.CloseAndRecv()
	return expectStatus(err, codes.Canceled)
}

func cancelAfterFirstResponse(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(outputRequest(requestSizes[0], responseSizes[0])); err != nil {
		return err
	}
	if err := expectResponse(stream, responseSizes[0]); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	return expectStatus(err, codes.Canceled)
}

func expectUnknown(err error, message string) error {
	return firstError(expectStatus(err, codes.Unknown), expect("status message", status.Convert(err).Message(), message))
}

func statusCodeAndMessage(t *target) error {
	ctx, cancel := background()
	defer cancel()
	echo := &pb.EchoStatus{Code: int32(codes.Unknown), Message: "test status message"}
	_, unary := t.stub.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: echo})
	stream, err := t.stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	err = firstError(stream.Send(&pb.StreamingOutputCallRequest{ResponseStatus: echo}), stream.CloseSend())
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return firstError(expectUnknown(unary, echo.Message), expectUnknown(err, echo.Message))
}

func specialStatusMessage(t *target) error {
	ctx, cancel := background()
	defer cancel()
	const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
	echo := &pb.EchoStatus{Code: int32(codes.Unknown), Message: message}
	_, err := t.stub.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: echo})
	return expectUnknown(err, message)
}

const (
	initialKey    = "x-grpc-test-echo-initial"
	initialValue  = "test_initial_metadata_value"
	trailingKey   = "x-grpc-test-echo-trailing-bin"
	trailingValue = "\xab\xab\xab"
)

func expectEchoed(header, trailer metadata.MD) error {
	return firstError(
		expect(initialKey, fmt.Sprintf("%q", header.Get(initialKey)), fmt.Sprintf("%q", []string{initialValue})),
		expect(trailingKey, fmt.Sprintf("%q", trailer.Get(trailingKey)), fmt.Sprintf("%q", []string{trailingValue})))
}

func customMetadata(t *target) error {
	ctx, cancel := background()
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, initialKey, initialValue, trailingKey, trailingValue)
	var header, trailer metadata.MD
	if err := callLarge(ctx, t.stub, largeUnaryRequest(), grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	stream, err := t.stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	err = firstError(stream.Send(outputRequest(largeRequest, largeResponse)), stream.CloseSend(),
		expectResponses(stream, largeResponse))
	if err != nil {
		return err
	}
	streamHeader, err := stream.Header()
	return firstError(err, expectEchoed(header, trailer), expectEchoed(streamHeader, stream.Trailer()))
}

func unimplementedMethod(t *target) error {
	ctx, cancel := background()
	defer cancel()
	_, err := t.stub.UnimplementedCall(ctx, &pb.Empty{})
	return expectStatus(err, codes.Unimplemented)
}

func unimplementedService(t *target) error {
	ctx, cancel := background()
	defer cancel()
	_, err := pb.NewUnimplementedServiceClient(t.conn).UnimplementedCall(ctx, &pb.Empty{})
	return expectStatus(err, codes.Unimplemented)
}

func rpcSoak(t *target) error {
	return repeatedly(soakRounds, func() error { return largeUnary(t) })
}

func repeatedly(count int, call func() error) error {
	for i := 0; i < count; i++ {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

func channelSoak(t *target) error {
	for i := 0; i < soakRounds; i++ {
		conn, err := t.connect()
		if err != nil {
			return err
		}
		ctx, cancel := background()
		err = callLarge(ctx, pb.NewTestServiceClient(conn), largeUnaryRequest())
		cancel()
		if err = firstError(err, conn.Close()); err != nil {
			return err
		}
	}
	return nil
}

func concurrentLargeUnary(t *target) error {
	return concurrently(concurrent, func() error { return largeUnary(t) })
}

// The first error of so many calls at once.
func concurrently(count int, call func() error) error {
	results := make(chan error)
	for i := 0; i < count; i++ {
		go func() { results <- call() }()
	}
	var first error
	for i := 0; i < count; i++ {
		first = firstError(first, <-results)
	}
	return first
}
