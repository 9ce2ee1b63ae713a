#!/usr/bin/env python3
"""Runs gRPC's interop cases: each client against each server, plaintext and TLS.

    run.py OUT [--own PEER] [--all] [--jobs N] [--clients A,B] [--servers A,B] [--cases A,B]

OUT is where build.sh put the official peers; PEER is ours, "orch", with the same command line (README.md). With --own
only the pairs run that it is part of, unless --all says otherwise. The server "bad" is bad_server.py. A line for each
pair, what the failed cases said, and last "N passed, M failed". A case runs where both peers have it; the line names
those that one of them lacks.
"""

import argparse
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # this folder is the source tree's
import certificates  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CASE_TIMEOUT_S = 120
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10

CASES = """
empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
timeout_on_sleeping_server cancel_after_begin cancel_after_first_response
status_code_and_message special_status_message custom_metadata unimplemented_method unimplemented_service
client_compressed_unary server_compressed_unary client_compressed_streaming server_compressed_streaming
rpc_soak channel_soak concurrent_large_unary
health_check health_watch reflection_v1 reflection_v1alpha
""".split()

# Against bad_server.py, a server for each.
NEGATIVE_CASES = """
goaway rst_after_header rst_during_data rst_after_data ping max_streams data_frame_padding no_df_padding
""".split()


class Peer:
    def __init__(self, name, command, env=None):
        self.name = name
        self.command = command
        self.env = {**os.environ, **(env or {})}

    def cases(self, role):
        listed = subprocess.run(
            [*self.command, role, "--list"], env=self.env, capture_output=True, text=True, timeout=START_TIMEOUT_S
        )
        if listed.returncode:
            sys.exit(f"{self.name} {role} --list: {listed.stdout}{listed.stderr}")
        unknown = set(listed.stdout.split()) - {*CASES, *NEGATIVE_CASES}
        if unknown:
            sys.exit(f"{self.name} {role} --list names what is no case: {' '.join(sorted(unknown))}")
        return set(listed.stdout.split())

    def call(self, address, case, options):
        """None, or what was wrong."""
        command = [*self.command, "client", address, case, *options]
        try:
            done = subprocess.run(
                command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CASE_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return f"{case}: still ran after {CASE_TIMEOUT_S} s"
        if done.returncode == 0:
            return None
        return f"exit status {done.returncode}: {done.stdout.strip()}"


class Server:
    """A running server, its port, and what it said on stderr."""

    def __init__(self, command, env):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT_S)
        line = self.process.stdout.readline() if ready else ""
        words = line.split()
        self.port = words[1] if len(words) == 2 and words[0] == "listening" and words[1].isdigit() else None

    def stop(self):
        """None, or what was wrong."""
        died = self.process.poll()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
            wrong = None if status == 0 else f"server: exit status {status}"
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            wrong = f"server: still ran {STOP_TIMEOUT_S} s after SIGTERM"
        if died is not None:
            wrong = f"server: died with exit status {died}"
        self.process.stdout.close()
        self.log.seek(0)
        said = self.log.read()
        self.log.close()
        return f"{wrong}\n{said}" if wrong else None


class Pair:
    """A client and a server that run all the cases that both have."""

    def __init__(self, client, server, tls):
        self.client, self.server, self.tls = client, server, tls
        self.failures = []
        self.passed = 0

    def record(self, case, wrong):
        if wrong:
            self.failures.append(f"{case}: {wrong}")
        else:
            self.passed += 1

    def run(self, cases, certs):
        start = time.monotonic()
        cases = [c for c in cases if c in CASES]
        has = self.client.cases("client") & self.server.cases("server")
        options = ["--tls", certs.certificate, certs.key] if self.tls else []
        server = Server([*self.server.command, "server", *options], self.server.env)
        if server.port:
            self.run_cases(f"127.0.0.1:{server.port}", [c for c in cases if c in has], certs)
        else:
            self.failures.append("the server does not say its port")
        stopped = server.stop()
        if stopped:
            self.failures.append(stopped)
        return self.report(time.monotonic() - start, [c for c in cases if c not in has])

    def run_cases(self, address, cases, certs):
        options = ["--tls", certs.authority, "--name", certs.name] if self.tls else []
        for case in cases:
            self.record(case, self.client.call(address, case, options))
        if self.tls:
            # What must not be talked to.
            self.refuse("wrong name", address, ["--tls", certs.authority, "--name", "other." + certs.name])
            self.refuse("wrong authority", address, ["--tls", certs.other_authority, "--name", certs.name])

    def refuse(self, what, address, options):
        accepted = self.client.call(address, "empty_unary", options) is None
        self.record(what, "the client takes it" if accepted else None)

    def report(self, seconds, lacking):
        name = f"{self.client.name} -> {self.server.name}{' tls' if self.tls else ''}"
        note = f"{self.passed}" + (f" passed, {len(self.failures)} failed" if self.failures else "")
        if lacking:
            note += f" (without {' '.join(lacking)})"
        lines = [f"    {line}" for failure in self.failures for line in failure.splitlines()]
        lines.append(f"  {'FAIL' if self.failures else 'ok':4} {name:24} {seconds:7.3f} s  {note}")
        print("\n".join(lines), flush=True)


class BadPair(Pair):
    """A client and bad_server.py, which also judges the client."""

    def __init__(self, client):
        super().__init__(client, Peer("bad", [sys.executable, os.path.join(HERE, "bad_server.py")]), tls=False)

    def run(self, cases, certs):
        start = time.monotonic()
        cases = [c for c in cases if c in NEGATIVE_CASES]
        has = self.client.cases("client")
        for case in [c for c in cases if c in has]:
            server = Server([*self.server.command, case], self.server.env)
            called = self.client.call(f"127.0.0.1:{server.port}", case, []) if server.port else "no server"
            wrong = [called, server.stop()]
            self.record(case, "; ".join(filter(None, wrong)))
        self.report(time.monotonic() - start, [c for c in cases if c not in has])


def peers(out, own):
    python = os.path.join(out, "python")
    found = [
        Peer(
            "python",
            [os.path.join(python, "venv/bin/python"), os.path.join(HERE, "python/peer.py")],
            {"INTEROP_GENERATED": os.path.join(python, "generated"), "PYTHONDONTWRITEBYTECODE": "1"},
        ),
        Peer("go", [os.path.join(out, "go/peer")]),
        Peer("node", ["node", os.path.join(out, "node/peer.js")]),
    ]
    return found + ([Peer("orch", [own])] if own else [])


def arguments():
    parser = argparse.ArgumentParser()
    words = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("out")
    parser.add_argument("--own", metavar="PEER")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    for what in ("clients", "servers", "cases"):
        parser.add_argument(f"--{what}", type=words)
    return parser.parse_args()


def wanted(pair, args):
    client, server = pair.client.name, pair.server.name
    picked = client in (args.clients or [client]) and server in (args.servers or [server])
    return picked and (args.all or not args.own or "orch" in (client, server))


def main():
    args = arguments()
    everyone = peers(os.path.abspath(args.out), args.own and os.path.abspath(args.own))
    pairs = [Pair(client, server, tls) for client in everyone for server in everyone for tls in (False, True)]
    pairs += [BadPair(client) for client in everyone]
    pairs = [pair for pair in pairs if wanted(pair, args)]
    cases = [case for case in [*CASES, *NEGATIVE_CASES] if case in (args.cases or [case])]
    if not pairs or not cases:
        sys.exit("run.py: no such peer, or no such case")
    with tempfile.TemporaryDirectory() as folder:
        certs = certificates.make(folder)
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda pair: pair.run(cases, certs), pairs))
    failed = sum(len(pair.failures) for pair in pairs)
    print(f"{sum(pair.passed for pair in pairs)} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
