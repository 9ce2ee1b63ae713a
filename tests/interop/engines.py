#!/usr/bin/env python3
"""Runs workflows of an orchestrator on engines in other languages (examples/engines): values, failures, retries, large inputs, cancels, and
engines that are killed in the middle.

    engines.py BUILD INTEROP LANGUAGE…    BUILD has examples/orch-server and orchctl; INTEROP what build.sh made
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# How an engine is started: {interop}/engine_LANGUAGE is where build.sh made it. All have the same flags.
COMMANDS = {
    "python": ["env", "PYTHONPATH={interop}/engine_python", "{interop}/python/venv/bin/python", f"{ROOT}/examples/engines/python/engine.py"],
}
CHAIN = {
    "id": "chain", "version": "1.0.0",
    "steps": [
        {"id": "a", "executor": "double", "with": {"n": "${input.n}"}},
        {"id": "b", "executor": "flaky", "depends_on": ["a"], "with": {"v": "${steps.a.output}", "good_from": 3},
         "retry": {"max_attempts": 3, "initial_interval": "10ms"}},
        {"id": "c", "executor": "echo", "depends_on": ["a"], "with": "n is ${steps.a.output}"},
        {"id": "d", "executor": "noop", "depends_on": ["b", "c"], "with": {"text": "${steps.c.output}", "v": "${steps.b.output.v}"}},
    ],
    "output": "${steps.d.output}",
}
FAILING = {"id": "failing", "version": "1.0.0", "steps": [{"id": "f", "executor": "flaky", "with": {"good_from": 9}}]}
LARGE = {"id": "large", "version": "1.0.0", "steps": [{"id": "e", "executor": "echo", "with": "${input}"}], "output": "${steps.e.output.t}"}
SLOW = {
    "id": "slow", "version": "1.0.0",
    "steps": [{"id": "first", "executor": "echo", "with": {"by": "${input.by}"}},
              {"id": "second", "executor": "pause", "depends_on": ["first"], "with": {"seconds": 3}},
              {"id": "third", "executor": "echo", "depends_on": ["second"], "with": 3}],
    "output": "${steps.third.output}",
}
UNKNOWN = {"id": "unknown", "version": "1.0.0", "steps": [{"id": "l", "executor": "lua", "with": {"code": "return 1"}}]}


class Rig:
    def __init__(self, build, interop, language, folder):
        self.build, self.folder = build, folder
        self.command = [word.format(interop=interop.resolve()) for word in COMMANDS[language]]
        self.processes, self.engines = [], []
        self.server_at = f"unix:{folder}/server"

    def start(self, *command):
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def start_engine(self, name, at="127.0.0.1:0"):
        process = self.start(*self.command, "--listen", at, "--name", name)
        word, port = process.stdout.readline().split()
        assert word == "listening", word
        return process, f"127.0.0.1:{port}"

    def start_server(self, addresses):
        engines = ",".join(f"grpc://{at}?name=e{i}&capacity=32" for i, at in enumerate(addresses))
        self.start(self.build / "examples/orch-server", "--listen", self.server_at, "--store", f"sqlite:{self.folder}/o.db",
                   "--engines", engines, "--set", "ATTACH_GRACE=2s", "--log-level", "error")
        until = time.monotonic() + 20
        while not (self.folder / "server").exists():
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.01)

    def ctl(self, *arguments, text=None):
        done = subprocess.run([str(self.build / "examples/orchctl"), "--server", self.server_at, *arguments], input=text,
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def define(self, definition):
        code, _, error = self.ctl("apply", "-", text=json.dumps(definition))
        assert code == 0, error

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def values_pass(rig):
    for n in range(20):
        code, out, error = rig.ctl("run", "chain", "--input", json.dumps({"n": n}))
        expect(error or "exit", code, 0)
        expect("output", json.loads(out), {"text": f"n is {2 * n}", "v": 2 * n})


def failures_are_told(rig):
    code, _, error = rig.ctl("run", "failing")
    expect("exit", code, 1)
    assert "attempt 1 of" in error, error
    code, _, error = rig.ctl("run", "unknown")
    expect("exit", code, 1)
    assert "executor lua" in error, error


def large_inputs_pass(rig):
    text = "x" * 3_000_000
    path = rig.folder / "large.json"
    path.write_text(json.dumps({"t": text}))
    code, out, error = rig.ctl("run", "large", "--input", f"@{path}")
    expect(error or "exit", code, 0)
    expect("length", len(json.loads(out)), len(text))


def many_at_a_time(rig):
    for i in range(40):
        expect("exit", rig.ctl("start", "chain", "--id", f"many-{i}", "--input", json.dumps({"n": i}))[0], 0)
    for i in range(40):
        expect(f"many-{i}", rig.ctl("watch", f"many-{i}")[0], 0)


def cancels_reach_it(rig):
    expect("exit", rig.ctl("start", "slow", "--id", "cancelled")[0], 0)
    expect("exit", rig.ctl("cancel", "cancelled")[0], 0)
    rig.ctl("watch", "cancelled")
    assert '"CANCELLED"' in rig.ctl("show", "cancelled", "-o", "json")[1]


def a_killed_engine_is_replaced(rig):
    for i in range(6):
        expect("exit", rig.ctl("start", "slow", "--id", f"slow-{i}")[0], 0)
    until = time.monotonic() + 20
    while any("first" not in rig.ctl("history", f"slow-{i}")[1] for i in range(6)):
        assert time.monotonic() < until, "the first steps do not end"
    rig.engines[0].send_signal(signal.SIGKILL)
    for i in range(6):
        expect(f"slow-{i}", rig.ctl("watch", f"slow-{i}")[0], 0)
        history = rig.ctl("history", f"slow-{i}")[1].splitlines()
        expect(f"ends of slow-{i}", len([line for line in history if "succeeded" in line]), 3)


CASES = [values_pass, failures_are_told, large_inputs_pass, many_at_a_time, cancels_reach_it, a_killed_engine_is_replaced]


def run(build, interop, language):
    print(f"{language}:", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(build, interop, language, pathlib.Path(folder))
        try:
            addresses = []
            for name in ("one", "two"):
                process, at = rig.start_engine(name)
                rig.engines.append(process)
                addresses.append(at)
            rig.start_server(addresses)
            for definition in (CHAIN, FAILING, LARGE, SLOW, UNKNOWN):
                rig.define(definition)
            for case in CASES:
                begun = time.monotonic()
                case(rig)
                print(f"  ok   {case.__name__:40} {time.monotonic() - begun:7.3f} s", flush=True)
        finally:
            rig.end()


def main():
    build, interop, *languages = sys.argv[1:]
    for language in languages:
        run(pathlib.Path(build), pathlib.Path(interop), language)


if __name__ == "__main__":
    main()
