"""The client's cases of the standard services: health and reflection."""

import grpc
from cases import DEADLINE_S, case, expect, expect_status
from google.protobuf import descriptor_pb2
from grpc.testing import empty_pb2, test_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICE = "grpc.testing.TestService"


def asked(service):
    return health_pb2.HealthCheckRequest(service=service)


@case
def health_check(target):
    stub = health_pb2_grpc.HealthStub(target.channel)
    for service in ("", SERVICE):
        expect(f'state of "{service}"', stub.Check(asked(service), timeout=DEADLINE_S).status, SERVING)
    expect_status(lambda: stub.Check(asked("no.such.Service"), timeout=DEADLINE_S), grpc.StatusCode.NOT_FOUND)


@case
def health_watch(target):
    stub = health_pb2_grpc.HealthStub(target.channel)
    control = test_pb2_grpc.XdsUpdateHealthServiceStub(target.channel)
    states = stub.Watch(asked(""), timeout=DEADLINE_S)
    expect("first state", next(states).status, SERVING)
    control.SetNotServing(empty_pb2.Empty(), timeout=DEADLINE_S)
    expect("second state", next(states).status, NOT_SERVING)
    control.SetServing(empty_pb2.Empty(), timeout=DEADLINE_S)
    expect("third state", next(states).status, SERVING)
    states.cancel()
    unknown = stub.Watch(asked("no.such.Service"), timeout=DEADLINE_S)
    expect("state of an unknown service", next(unknown).status, SERVICE_UNKNOWN)
    unknown.cancel()


def check_reflection(target, version):
    # The messages of the two versions are the same, byte for byte; the package for Python has only the older.
    call = target.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    requests = [
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol="no.such.Symbol"),
        ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    answers = list(call(iter(requests), timeout=DEADLINE_S))
    expect("number of answers", len(answers), len(requests))
    listed, unknown, files = answers
    expect(f"{SERVICE} is listed", SERVICE in [s.name for s in listed.list_services_response.service], True)
    expect("error for no.such.Symbol", unknown.error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])
    expect("files declare TestService.EmptyCall", "EmptyCall" in declared(files), True)


def declared(answer):
    """The methods of TestService in the files of an answer."""
    files = map(descriptor_pb2.FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
    services = [service for file in files if file.package == "grpc.testing" for service in file.service]
    return [method.name for service in services if service.name == "TestService" for method in service.method]


@case
def reflection_v1(target):
    check_reflection(target, "v1")


@case
def reflection_v1alpha(target):
    check_reflection(target, "v1alpha")
