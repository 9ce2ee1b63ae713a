package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	pb "interop/testing"
)

// Left out: server_compressed_streaming, for this stack compresses all messages of a stream or none.
var serverCases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response",
	"status_code_and_message", "special_status_message", "custom_metadata",
	"unimplemented_method", "unimplemented_service",
	"client_compressed_unary", "client_compressed_streaming", "server_compressed_unary",
	"rpc_soak", "channel_soak", "concurrent_large_unary",
	"health_check", "health_watch", "reflection_v1", "reflection_v1alpha",
}

type testService struct {
	pb.UnimplementedTestServiceServer
}

func payload(size int32) *pb.Payload {
	return &pb.Payload{Body: make([]byte, size)}
}

func only(md metadata.MD, key string) metadata.MD {
	if values := md.Get(key); len(values) > 0 {
		return metadata.MD{key: values}
	}
	return nil
}

func echoMetadata(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := grpc.SetHeader(ctx, only(md, "x-grpc-test-echo-initial")); err != nil {
		return err
	}
	return grpc.SetTrailer(ctx, only(md, "x-grpc-test-echo-trailing-bin"))
}

func asked(s *pb.EchoStatus) error {
	return status.Error(codes.Code(s.GetCode()), s.GetMessage())
}

// Checks the message that came last.
func checkCompressed(ctx context.Context, expected *pb.BoolValue) error {
	if expected != nil && receivedOf(ctx).last() != expected.Value {
		return status.Errorf(codes.InvalidArgument, "expect_compressed is %v, and the message is not so", expected.Value)
	}
	return nil
}

// Left alone, the stack answers in the encoding of the request. A client that does not take gzip gets it plain.
func compressResponse(ctx context.Context, compress bool) error {
	if compress && grpc.SetSendCompressor(ctx, "gzip") == nil {
		return nil
	}
	return grpc.SetSendCompressor(ctx, "identity")
}

func (testService) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) {
	return &pb.Empty{}, nil
}

func (testService) UnaryCall(ctx context.Context, request *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if err := echoMetadata(ctx); err != nil {
		return nil, err
	}
	if err := checkCompressed(ctx, request.ExpectCompressed); err != nil {
		return nil, err
	}
	if err := asked(request.ResponseStatus); err != nil {
		return nil, err
	}
	if err := compressResponse(ctx, request.ResponseCompressed.GetValue()); err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{Payload: payload(request.ResponseSize)}, nil
}

type outputStream interface {
	Context() context.Context
	Send(*pb.StreamingOutputCallResponse) error
}

func sendResponses(request *pb.StreamingOutputCallRequest, stream outputStream) error {
	if err := asked(request.ResponseStatus); err != nil {
		return err
	}
	for _, one := range request.ResponseParameters {
		time.Sleep(time.Duration(one.IntervalUs) * time.Microsecond)
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(one.Size)}); err != nil {
			return err
		}
	}
	return nil
}

func (testService) StreamingOutputCall(request *pb.StreamingOutputCallRequest, stream pb.TestService_StreamingOutputCallServer) error {
	return sendResponses(request, stream)
}

func (testService) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	var total int32
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: total})
		}
		if err != nil {
			return err
		}
		if err := checkCompressed(stream.Context(), request.ExpectCompressed); err != nil {
			return err
		}
		total += int32(len(request.Payload.GetBody()))
	}
}

func (testService) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	if err := echoMetadata(stream.Context()); err != nil {
		return err
	}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := sendResponses(request, stream); err != nil {
			return err
		}
	}
}

func (testService) HalfDuplexCall(stream pb.TestService_HalfDuplexCallServer) error {
	var requests []*pb.StreamingOutputCallRequest
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		requests = append(requests, request)
	}
	for _, request := range requests {
		if err := sendResponses(request, stream); err != nil {
			return err
		}
	}
	return nil
}

// Lets a client change what it watches.
type healthControl struct {
	pb.UnimplementedXdsUpdateHealthServiceServer
	health *health.Server
}

func (c healthControl) SetServing(context.Context, *pb.Empty) (*pb.Empty, error) {
	c.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	return &pb.Empty{}, nil
}

func (c healthControl) SetNotServing(context.Context, *pb.Empty) (*pb.Empty, error) {
	c.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	return &pb.Empty{}, nil
}

func serve(certs []string) error {
	options := []grpc.ServerOption{grpc.StatsHandler(recorder{})}
	if len(certs) == 2 {
		creds, err := credentials.NewServerTLSFromFile(certs[0], certs[1])
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(creds))
	}
	s := grpc.NewServer(options...)
	states := health.NewServer() // "" is serving from the start
	states.SetServingStatus(pb.TestService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	pb.RegisterTestServiceServer(s, testService{})
	pb.RegisterXdsUpdateHealthServiceServer(s, healthControl{health: states})
	healthpb.RegisterHealthServer(s, states)
	reflection.Register(s)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		s.Stop()
	}()
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	return s.Serve(listener)
}
