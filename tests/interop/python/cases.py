"""The client's cases, by name. Each takes a Target, and raises Failure or grpc.RpcError where the server is wrong."""

import queue

import grpc
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc

LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
REQUESTS = (27182, 8, 1828, 45904)
RESPONSES = (31415, 9, 2653, 58979)
SOAK_ROUNDS = 10
CONCURRENT = 1000
DEADLINE_S = 60

# Left out: server_compressed_* and client_compressed_streaming, for this stack does not tell a client whether a
# message was compressed and has no switch for single messages of a client.
CASES = {}


class Failure(Exception):
    """What the server did is not what the case asks for."""


class Target:
    """The server under test, with a first channel to it."""

    def __init__(self, address, ca=None, name=None):
        self.address = address
        self.credentials = None
        self.options = [("grpc.ssl_target_name_override", name)] if name else []
        # Otherwise channels of the same address share a connection.
        self.options.append(("grpc.use_local_subchannel_pool", 1))
        if ca:
            with open(ca, "rb") as file:
                self.credentials = grpc.ssl_channel_credentials(file.read())
        self.channel = self.connect()
        self.stub = test_pb2_grpc.TestServiceStub(self.channel)

    def connect(self):
        if self.credentials:
            return grpc.secure_channel(self.address, self.credentials, self.options)
        return grpc.insecure_channel(self.address, self.options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def case(function):
    CASES[function.__name__] = function
    return function


def expect(what, actual, expected):
    if actual != expected:
        raise Failure(f"{what}: {shown(actual)} instead of {shown(expected)}")


def shown(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "..."


def expect_status(call, code, message=None):
    """The call fails with this code; `call` is a function that waits for its end."""
    try:
        call()
    except grpc.RpcError as error:
        expect("status", error.code(), code)
        if message is not None:
            expect("status message", error.details(), message)
        return
    raise Failure(f"status: OK instead of {code}")


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def large_request(**more):
    return messages_pb2.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST), **more)


def output_request(*response_sizes, size=None, **more):
    parameters = [messages_pb2.ResponseParameters(size=s) for s in response_sizes]
    body = payload(size) if size is not None else None
    return messages_pb2.StreamingOutputCallRequest(response_parameters=parameters, payload=body, **more)


def check_large(response):
    expect("response", response.payload.body, bytes(LARGE_RESPONSE))


class Outgoing:
    """An iterator of requests into which the case writes while the call runs."""

    def __init__(self):
        self.queue = queue.Queue()

    def write(self, request):
        self.queue.put(request)

    def close(self):
        self.queue.put(None)

    def __iter__(self):
        return iter(self.queue.get, None)


@case
def empty_unary(target):
    expect("response", target.stub.EmptyCall(empty_pb2.Empty(), timeout=DEADLINE_S).SerializeToString(), b"")


@case
def large_unary(target):
    check_large(target.stub.UnaryCall(large_request(), timeout=DEADLINE_S))


@case
def client_streaming(target):
    requests = (messages_pb2.StreamingInputCallRequest(payload=payload(size)) for size in REQUESTS)
    response = target.stub.StreamingInputCall(requests, timeout=DEADLINE_S)
    expect("sum of sizes", response.aggregated_payload_size, sum(REQUESTS))


@case
def server_streaming(target):
    responses = target.stub.StreamingOutputCall(output_request(*RESPONSES), timeout=DEADLINE_S)
    expect("responses", [r.payload.body for r in responses], [bytes(size) for size in RESPONSES])


@case
def ping_pong(target):
    requests = Outgoing()
    responses = target.stub.FullDuplexCall(iter(requests), timeout=DEADLINE_S)
    for request_size, response_size in zip(REQUESTS, RESPONSES):
        requests.write(output_request(response_size, size=request_size))
        expect("response", next(responses).payload.body, bytes(response_size))
    requests.close()
    expect("responses after the last", list(responses), [])


@case
def empty_stream(target):
    expect("responses", list(target.stub.FullDuplexCall(iter(()), timeout=DEADLINE_S)), [])


@case
def timeout_on_sleeping_server(target):
    requests = Outgoing()
    responses = target.stub.FullDuplexCall(iter(requests), timeout=0.001)
    requests.write(output_request(size=27182))
    expect_status(lambda: list(responses), grpc.StatusCode.DEADLINE_EXCEEDED)
    requests.close()


@case
def cancel_after_begin(target):
    requests = Outgoing()
    call = target.stub.StreamingInputCall.future(iter(requests), timeout=DEADLINE_S)
    call.cancel()
    requests.close()
    expect("status", call.code(), grpc.StatusCode.CANCELLED)


@case
def cancel_after_first_response(target):
    requests = Outgoing()
    responses = target.stub.FullDuplexCall(iter(requests), timeout=DEADLINE_S)
    requests.write(output_request(RESPONSES[0], size=REQUESTS[0]))
    expect("response", next(responses).payload.body, bytes(RESPONSES[0]))
    responses.cancel()
    requests.close()
    expect_status(lambda: list(responses), grpc.StatusCode.CANCELLED)


def check_echoed_status(target, message, stream):
    status = messages_pb2.EchoStatus(code=2, message=message)
    request = messages_pb2.SimpleRequest(response_status=status)
    expect_status(lambda: target.stub.UnaryCall(request, timeout=DEADLINE_S), grpc.StatusCode.UNKNOWN, message)
    if stream:
        responses = target.stub.FullDuplexCall(iter([output_request(response_status=status)]), timeout=DEADLINE_S)
        expect_status(lambda: list(responses), grpc.StatusCode.UNKNOWN, message)


@case
def status_code_and_message(target):
    check_echoed_status(target, "test status message", stream=True)


@case
def special_status_message(target):
    check_echoed_status(target, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", stream=False)


@case
def custom_metadata(target):
    initial = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
    trailing = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
    response, unary = target.stub.UnaryCall.with_call(large_request(), metadata=(initial, trailing), timeout=DEADLINE_S)
    check_large(response)
    requests = iter([output_request(LARGE_RESPONSE, size=LARGE_REQUEST)])
    stream = target.stub.FullDuplexCall(requests, metadata=(initial, trailing), timeout=DEADLINE_S)
    expect("responses", [r.payload.body for r in stream], [bytes(LARGE_RESPONSE)])
    for kind, call in (("unary", unary), ("stream", stream)):
        expect(f"{kind}: {initial[0]}", dict(call.initial_metadata()).get(initial[0]), initial[1])
        expect(f"{kind}: {trailing[0]}", dict(call.trailing_metadata()).get(trailing[0]), trailing[1])


@case
def unimplemented_method(target):
    call = target.stub.UnimplementedCall
    expect_status(lambda: call(empty_pb2.Empty(), timeout=DEADLINE_S), grpc.StatusCode.UNIMPLEMENTED)


@case
def unimplemented_service(target):
    call = test_pb2_grpc.UnimplementedServiceStub(target.channel).UnimplementedCall
    expect_status(lambda: call(empty_pb2.Empty(), timeout=DEADLINE_S), grpc.StatusCode.UNIMPLEMENTED)


@case
def client_compressed_unary(target):
    yes, no = messages_pb2.BoolValue(value=True), messages_pb2.BoolValue(value=False)
    call = target.stub.UnaryCall
    # Does the server look at all?
    expect_status(
        lambda: call(large_request(expect_compressed=yes), timeout=DEADLINE_S), grpc.StatusCode.INVALID_ARGUMENT
    )
    check_large(call(large_request(expect_compressed=yes), compression=grpc.Compression.Gzip, timeout=DEADLINE_S))
    check_large(call(large_request(expect_compressed=no), timeout=DEADLINE_S))


@case
def rpc_soak(target):
    for _ in range(SOAK_ROUNDS):
        large_unary(target)


@case
def channel_soak(target):
    for _ in range(SOAK_ROUNDS):
        with target.connect() as channel:
            check_large(test_pb2_grpc.TestServiceStub(channel).UnaryCall(large_request(), timeout=DEADLINE_S))


@case
def concurrent_large_unary(target):
    calls = [target.stub.UnaryCall.future(large_request(), timeout=DEADLINE_S) for _ in range(CONCURRENT)]
    for call in calls:
        check_large(call.result())


import cases_negative  # noqa: E402,F401 -- adds those against bad_server.py
import cases_services  # noqa: E402,F401 -- adds health and reflection
