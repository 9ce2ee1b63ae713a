"""The server: grpc.testing.TestService, health and reflection."""

import signal
import threading
import time
from concurrent import futures

import grpc
from grpc.testing import empty_pb2, messages_pb2, test_pb2, test_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

# Left out: client_compressed_*, for this stack does not tell a server whether a message was compressed;
# reflection_v1, which its package does not have.
CASES = """
empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
timeout_on_sleeping_server cancel_after_begin cancel_after_first_response
status_code_and_message special_status_message custom_metadata unimplemented_method unimplemented_service
server_compressed_unary server_compressed_streaming rpc_soak channel_soak concurrent_large_unary
health_check health_watch reflection_v1alpha
""".split()


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == "x-grpc-test-echo-initial":
            context.send_initial_metadata(((key, value),))
        if key == "x-grpc-test-echo-trailing-bin":
            context.set_trailing_metadata(((key, value),))


def end_as_asked(request, context):
    """Ends the call here if the request says with what status."""
    if request.HasField("response_status") and request.response_status.code:
        code = next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


class TestService(test_pb2_grpc.TestServiceServicer):
    def EmptyCall(self, request, context):
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        end_as_asked(request, context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        return messages_pb2.SimpleResponse(payload=payload(request.response_size))

    def StreamingOutputCall(self, request, context):
        end_as_asked(request, context)
        yield from self.responses(request, context)

    def StreamingInputCall(self, requests, context):
        total = sum(len(request.payload.body) for request in requests)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=total)

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            end_as_asked(request, context)
            yield from self.responses(request, context)

    def HalfDuplexCall(self, requests, context):
        for request in list(requests):
            yield from self.responses(request, context)

    @staticmethod
    def responses(request, context):
        # Whether a stream compresses is said once, before its first message; which message does not, at each.
        compresses = any(one.compressed.value for one in request.response_parameters)
        if compresses:
            context.set_compression(grpc.Compression.Gzip)
        for one in request.response_parameters:
            time.sleep(one.interval_us / 1e6)
            if compresses and not one.compressed.value:
                context.disable_next_message_compression()
            yield messages_pb2.StreamingOutputCallResponse(payload=payload(one.size))


class HealthControl(test_pb2_grpc.XdsUpdateHealthServiceServicer):
    """Lets a client change what it watches."""

    def __init__(self, servicer):
        self.servicer = servicer

    def SetServing(self, request, context):
        self.servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        return empty_pb2.Empty()

    def SetNotServing(self, request, context):
        self.servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        return empty_pb2.Empty()


def add_services(server):
    test_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
    # With a thread for each watcher. The other kind waits for its first answer to have left with a lock in its hand, which the thread that
    # would tell it so wants when another watch ends at that moment: then the server hangs.
    servicer = health.HealthServicer(experimental_non_blocking=False)
    names = [service.full_name for service in test_pb2.DESCRIPTOR.services_by_name.values() if service.name == "TestService"]
    for name in ["", *names]:
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    test_pb2_grpc.add_XdsUpdateHealthServiceServicer_to_server(HealthControl(servicer), server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def run(tls):
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = grpc.server(futures.ThreadPoolExecutor(32))
    add_services(server)
    if tls:
        certificate, key = map(read, tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening {port}", flush=True)
    stop.wait()
    server.stop(grace=0).wait()
    return 0
