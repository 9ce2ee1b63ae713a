#!/usr/bin/env python3
"""An HTTP/2 server that does what a gRPC client has to cope with, and looks at how the client copes.

    bad_server.py CASE        prints `listening PORT`; on SIGTERM ends with 0, or says what the client did wrong and ends with 1
    bad_server.py --list

Whatever the method, it answers as grpc.testing.TestService/UnaryCall does to a large_unary. The cases are those of
gRPC's HTTP/2 interop test descriptions; what the client has to see of each stands at the case.
"""

import signal
import socket
import sys
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

BODY_SIZE = 314159
FRAME_SIZE = 1000
PATIENCE_S = 20


def varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes(encoded) + bytes([value])


def response_message():
    """SimpleResponse{payload: {body: BODY_SIZE zeros}}, with gRPC's prefix."""
    payload = b"\x12" + varint(BODY_SIZE) + bytes(BODY_SIZE)
    message = b"\x0a" + varint(len(payload)) + payload
    return b"\0" + len(message).to_bytes(4, "big") + message


RESPONSE = response_message()


class Gone(Exception):
    """The client has closed the connection."""


class Wrong(Exception):
    """The client did what it must not do."""


class Connection:
    """One connection, and the requests of it that are complete and wait for an answer."""

    def __init__(self, sock, case):
        self.sock = sock
        self.case = case
        self.ready = []
        self.pings_sent = self.pings_acknowledged = 0
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=case.settings)

    def run(self):
        self.sock.settimeout(PATIENCE_S)
        self.h2.initiate_connection()
        self.flush()
        self.case.opened(self)
        while True:
            while not self.ready:
                self.read()
            self.case.answer(self, self.ready.pop(0))

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.flush()
            raise Wrong(f"the client breaks the protocol: {error!r}") from error
        for event in events:
            self.handle(event)
        self.flush()

    def handle(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ready.append(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings_acknowledged += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise Gone

    # ---- What the cases are made of.

    def headers(self, stream):
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        self.flush()

    def data(self, stream, data, padding=None):
        """In frames of FRAME_SIZE, as far as the client's windows let it."""
        for start in range(0, len(data), FRAME_SIZE):
            frame = data[start : start + FRAME_SIZE]
            counted = len(frame) + (0 if padding is None else padding + 1)
            while self.h2.local_flow_control_window(stream) < counted:
                self.read()
            self.h2.send_data(stream, frame, pad_length=padding)
            self.flush()

    def trailers(self, stream):
        self.h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        self.flush()

    def reset(self, stream):
        self.h2.reset_stream(stream, h2.errors.ErrorCodes.NO_ERROR)
        self.flush()

    def ping(self):
        self.pings_sent += 1
        self.h2.ping(self.pings_sent.to_bytes(8, "big"))
        self.flush()


class Case:
    """Answers as it should; the cases change a part of it."""

    settings = {}
    padding = None

    def __init__(self):
        self.wrong = []

    def opened(self, connection):
        pass

    def answer(self, connection, stream):
        connection.headers(stream)
        connection.data(stream, RESPONSE, self.padding)
        connection.trailers(stream)

    def verdict(self):
        return self.wrong


class GoAway(Case):
    """The connection takes no more calls after the first: the next goes over a new one."""

    def __init__(self):
        super().__init__()
        self.connections = 0

    def opened(self, connection):
        self.connections += 1

    def answer(self, connection, stream):
        connection.headers(stream)
        connection.data(stream, RESPONSE)
        if self.connections > 1:
            connection.trailers(stream)
            return
        # By hand: after its own GOAWAY the library would send no trailers. The last stream is this one.
        goaway = (8).to_bytes(3, "big") + b"\x07\0" + bytes(4) + stream.to_bytes(4, "big") + bytes(4)
        connection.sock.sendall(goaway)
        connection.trailers(stream)
        while not connection.ready:
            connection.read()
        raise Wrong("the client makes a call on a connection that said GOAWAY")

    def verdict(self):
        return self.wrong or ([] if self.connections == 2 else [f"{self.connections} connections instead of 2"])


class RstAfterHeader(Case):
    """The call fails with INTERNAL."""

    def answer(self, connection, stream):
        connection.headers(stream)
        connection.reset(stream)


class RstDuringData(Case):
    """The call fails with INTERNAL."""

    def answer(self, connection, stream):
        connection.headers(stream)
        connection.data(stream, RESPONSE[: len(RESPONSE) // 2])
        connection.reset(stream)


class RstAfterData(Case):
    """The call fails with INTERNAL: a whole message is no status."""

    def answer(self, connection, stream):
        connection.headers(stream)
        connection.data(stream, RESPONSE)
        connection.reset(stream)


class Ping(Case):
    """Each PING is acknowledged, whatever it stands between; the call succeeds."""

    def opened(self, connection):
        connection.ping()

    def answer(self, connection, stream):
        half = len(RESPONSE) // 2
        connection.ping()
        connection.headers(stream)
        connection.ping()
        connection.data(stream, RESPONSE[:half])
        connection.ping()
        connection.data(stream, RESPONSE[half:])
        connection.ping()
        while connection.pings_acknowledged < connection.pings_sent:
            connection.read()
        connection.trailers(stream)


class MaxStreams(Case):
    """Calls beyond the limit of one wait for their turn; the library says if there are more. All succeed."""

    settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}


class DataFramePadding(Case):
    """Padding is no data, and counts in the windows: calls succeed beyond the size of a window."""

    padding = 255


class NoDataFramePadding(Case):
    """The same without padding."""


CASES = {
    "goaway": GoAway,
    "rst_after_header": RstAfterHeader,
    "rst_during_data": RstDuringData,
    "rst_after_data": RstAfterData,
    "ping": Ping,
    "max_streams": MaxStreams,
    "data_frame_padding": DataFramePadding,
    "no_df_padding": NoDataFramePadding,
}


def serve_connection(sock, case):
    try:
        Connection(sock, case).run()
    except (Gone, ConnectionError, h2.exceptions.StreamClosedError):
        pass
    except TimeoutError:
        case.wrong.append(f"nothing comes from the client for {PATIENCE_S} s")
    except Wrong as wrong:
        case.wrong.append(str(wrong))
    finally:
        sock.close()


def accept(listener, case):
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve_connection, args=(sock, case), daemon=True).start()


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CASES))
        return 0
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        print("bad_server.py: a case of --list", file=sys.stderr)
        return 2
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    case = CASES[sys.argv[1]]()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener, case), daemon=True).start()
    print(f"listening {listener.getsockname()[1]}", flush=True)
    stop.wait()
    wrong = case.verdict()
    print("".join(f"{sys.argv[1]}: {what}\n" for what in wrong), file=sys.stderr, end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
