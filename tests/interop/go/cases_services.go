package main

import (
	"bytes"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	pb "interop/testing"
)

const (
	service        = "grpc.testing.TestService"
	unknownService = "no.such.Service"
)

func healthCheck(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stub := healthpb.NewHealthClient(t.conn)
	for _, name := range []string{"", service} {
		response, err := stub.Check(ctx, &healthpb.HealthCheckRequest{Service: name})
		if err != nil {
			return err
		}
		if err := expect("state of '"+name+"'", response.Status, healthpb.HealthCheckResponse_SERVING); err != nil {
			return err
		}
	}
	_, err := stub.Check(ctx, &healthpb.HealthCheckRequest{Service: unknownService})
	return expectStatus(err, codes.NotFound)
}

func expectState(stream healthpb.Health_WatchClient, state healthpb.HealthCheckResponse_ServingStatus) error {
	response, err := stream.Recv()
	if err != nil {
		return err
	}
	return expect("state", response.Status, state)
}

func healthWatch(t *target) error {
	ctx, cancel := background()
	defer cancel()
	stub := healthpb.NewHealthClient(t.conn)
	control := pb.NewXdsUpdateHealthServiceClient(t.conn)
	known, err := stub.Watch(ctx, &healthpb.HealthCheckRequest{Service: ""})
	if err != nil {
		return err
	}
	if err := expectState(known, healthpb.HealthCheckResponse_SERVING); err != nil {
		return err
	}
	_, err = control.SetNotServing(ctx, &pb.Empty{})
	if err := firstError(err, expectState(known, healthpb.HealthCheckResponse_NOT_SERVING)); err != nil {
		return err
	}
	_, err = control.SetServing(ctx, &pb.Empty{})
	if err := firstError(err, expectState(known, healthpb.HealthCheckResponse_SERVING)); err != nil {
		return err
	}
	unknown, err := stub.Watch(ctx, &healthpb.HealthCheckRequest{Service: unknownService})
	if err != nil {
		return err
	}
	return expectState(unknown, healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
}

// The messages of the two versions are the same, byte for byte.
func reflectionV1(t *target) error      { return checkReflection(t, "grpc.reflection.v1") }
func reflectionV1Alpha(t *target) error { return checkReflection(t, "grpc.reflection.v1alpha") }

func checkReflection(t *target, version string) error {
	ctx, cancel := background()
	defer cancel()
	stream, err := t.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/"+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		return err
	}
	ask := func(request *v1.ServerReflectionRequest) (*v1.ServerReflectionResponse, error) {
		response := &v1.ServerReflectionResponse{}
		return response, firstError(stream.SendMsg(request), stream.RecvMsg(response))
	}
	listed, err := ask(&v1.ServerReflectionRequest{MessageRequest: &v1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return err
	}
	unknown, err := ask(bySymbol(unknownService))
	if err != nil {
		return err
	}
	files, err := ask(bySymbol(service))
	if err != nil {
		return err
	}
	return firstError(
		expect(service+" is listed", lists(listed), true),
		expect("error for an unknown symbol", codes.Code(unknown.GetErrorResponse().GetErrorCode()), codes.NotFound),
		expect("files declare TestService.EmptyCall", declares(files), true))
}

func bySymbol(symbol string) *v1.ServerReflectionRequest {
	return &v1.ServerReflectionRequest{
		MessageRequest: &v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}}
}

func lists(response *v1.ServerReflectionResponse) bool {
	for _, one := range response.GetListServicesResponse().GetService() {
		if one.Name == service {
			return true
		}
	}
	return false
}

func declares(response *v1.ServerReflectionResponse) bool {
	for _, encoded := range response.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if proto.Unmarshal(encoded, file) != nil || !bytes.Contains(encoded, []byte("EmptyCall")) {
			continue
		}
		for _, s := range file.Service {
			if file.GetPackage()+"."+s.GetName() == service {
				return true
			}
		}
	}
	return false
}
