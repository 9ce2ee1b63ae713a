#!/usr/bin/env python3
"""An engine for liborch in Python: it runs workflows that an orchestrator hands over in gRPC, with checkpoints.

Written from orch/v1/engine.proto alone, with the official stack. It is a start for an engine of your own: executors.py has what steps do. It knows
steps that depend on each other, inputs with defaults, retries, and templates of plain paths; what it does not know of a definition it refuses by
name, and the orchestrator says so. It does not put executions down that only wait (Report.SUSPENDED): they keep their place. It needs grpcio,
grpcio-tools and grpcio-health-checking.

    python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. orch/v1/engine.proto
    PYTHONPATH=. python3 examples/engines/python/engine.py --listen 127.0.0.1:50061 --name py

engine.py     its flags, its server, its end on SIGTERM
service.py    EngineService: who gets what comes in a call
call.py       one call: what is said in it; messages in parts
handover.py   one execution: from its start, or from its checkpoints, to its end
definition.py what a definition says; retries
templates.py  ${input.a.b}
executors.py  what steps do
"""
import argparse
import os
import signal
import socket
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from orch.v1 import engine_pb2_grpc as pb_grpc
from service import Engine

OPTIONS = [
    # The orchestrator pings after ten seconds of silence, which servers do not permit unless they are told to; and least of all when no call is open.
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    # And an orchestrator whose machine is gone has to be noticed: what it handed over is detached then.
    ("grpc.keepalive_time_ms", 10000),
    ("grpc.keepalive_timeout_ms", 5000),
]


def arguments():
    parser = argparse.ArgumentParser(description="An engine for liborch in Python")
    parser.add_argument("--listen", default="127.0.0.1:50061", help="address and port; port 0: a free one")
    parser.add_argument("--name", default=socket.gethostname())
    parser.add_argument("--capacity", type=int, default=32, help="executions at a time")
    parser.add_argument("--grace", type=float, default=30, help="seconds that running steps have to end after SIGTERM")
    return parser.parse_args()


def main():
    given = arguments()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    engine = Engine(given.name, given.capacity)
    # A call keeps a thread for as long as it is open; so does who watches the health.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2 * given.capacity + 16), options=OPTIONS)
    pb_grpc.add_EngineServiceServicer_to_server(engine, server)
    # The other kind of this servicer, non-blocking, can stop the whole server: it waits with a lock in its hand.
    serving = health.HealthServicer(experimental_non_blocking=False)
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    port = server.add_insecure_port(given.listen)
    server.start()
    print(f"listening {port}", flush=True)
    ended.wait()
    serving.enter_graceful_shutdown()
    engine.drain(given.grace)
    server.stop(grace=2).wait()  # so that what was said last leaves
    os._exit(0)  # a step that does not stop when it is told to would keep the process


if __name__ == "__main__":
    main()
