package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "interop/testing"
)

const (
	largeRequest  = 271828
	largeResponse = 314159
	soakRounds    = 10
	concurrent    = 1000
	deadline      = 60 * time.Second
)

var (
	requestSizes  = []int32{27182, 8, 1828, 45904}
	responseSizes = []int32{31415, 9, 2653, 58979}
)

// The server under test, with a first connection to it.
type target struct {
	address string
	creds   credentials.TransportCredentials
	conn    *grpc.ClientConn
	stub    pb.TestServiceClient
}

func newTarget(address string, ca []string, name string) (*target, error) {
	t := &target{address: address, creds: insecure.NewCredentials()}
	var err error
	if len(ca) == 1 {
		if t.creds, err = credentials.NewClientTLSFromFile(ca[0], name); err != nil {
			return nil, err
		}
	}
	if t.conn, err = t.connect(); err != nil {
		return nil, err
	}
	t.stub = pb.NewTestServiceClient(t.conn)
	return t, nil
}

func (t *target) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+t.address, grpc.WithTransportCredentials(t.creds), grpc.WithStatsHandler(recorder{}))
}

func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), deadline)
}

func expect[T comparable](what string, actual, expected T) error {
	if actual != expected {
		return fmt.Errorf("%s: %v instead of %v", what, actual, expected)
	}
	return nil
}

func expectStatus(err error, code codes.Code) error {
	if status.Code(err) != code {
		return fmt.Errorf("status %v instead of %v", err, code)
	}
	return nil
}

func expectPayload(p *pb.Payload, size int32) error {
	if !bytes.Equal(p.GetBody(), make([]byte, size)) {
		return fmt.Errorf("not a payload of %d zero bytes but of %d", size, len(p.GetBody()))
	}
	return nil
}

// The first that is wrong.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func largeUnaryRequest() *pb.SimpleRequest {
	return &pb.SimpleRequest{ResponseSize: largeResponse, Payload: payload(largeRequest)}
}

func outputRequest(requestSize int32, responses ...int32) *pb.StreamingOutputCallRequest {
	request := &pb.StreamingOutputCallRequest{Payload: payload(requestSize)}
	for _, size := range responses {
		request.ResponseParameters = append(request.ResponseParameters, &pb.ResponseParameters{Size: size})
	}
	return request
}

func callLarge(ctx context.Context, stub pb.TestServiceClient, request *pb.SimpleRequest, options ...grpc.CallOption) error {
	response, err := stub.UnaryCall(ctx, request, options...)
	if err != nil {
		return err
	}
	return expectPayload(response.Payload, largeResponse)
}
