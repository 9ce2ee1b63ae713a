"""Stands between an orchestrator and an engine, and cuts the connections when it is told to."""
import socket
import threading


class Proxy:
    def __init__(self, to):
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.sockets, self.connections = [], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:  # the engine is gone
                near.close()
                continue
            with self.lock:
                self.sockets += [near, far]
                self.connections += 1
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    def cut(self):
        with self.lock:
            for one in self.sockets:
                shut(one)
            self.sockets.clear()

    def close(self):
        shut(self.listener)
        self.listener.close()
        self.cut()


def shut(one):
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is already
        pass


def pass_on(source, sink):
    try:
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    shut(source)
    shut(sink)
