"""An orchestrator (orch-server), engines, and a proxy before each; what happens is written down."""
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proxy import Proxy

PATIENCE_S = 30
ENDS = {"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"}


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def wait_until(what, condition):
    """What the condition gives, once it is something."""
    until = time.monotonic() + PATIENCE_S
    while not (got := condition()):
        assert time.monotonic() < until, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)
    return got


def show(log):
    """Of a scene that failed."""
    log.seek(0)
    print(log.read(), file=sys.stderr)


class Engine:
    """A process, which is ended with the stack."""

    def __init__(self, stack, command, name, *flags):
        self.name = name
        self.process = subprocess.Popen([*command, "--listen", "127.0.0.1:0", "--name", name, *flags], stdout=subprocess.PIPE, text=True)
        stack.callback(self.kill)
        word, port = self.process.stdout.readline().split()
        assert word == "listening", word
        self.port = int(port)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(PATIENCE_S)


class Rig:
    """`engines` engines, by the names e0, e1, …, and one orchestrator with the settings."""

    def __init__(self, stack, build, command, engines=2, settings=()):
        self.programs = build / "examples"
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.engines = [Engine(stack, command, f"e{i}") for i in range(engines)]
        self.proxies = [stack.enter_context(contextlib.closing(Proxy(engine.port))) for engine in self.engines]
        self.server_at = f"unix:{self.folder}/server"
        self.stack, self.settings = stack, settings
        self.log = stack.enter_context(open(self.folder / "log", "w+"))
        stack.push(lambda kind, *_: kind and show(self.log))
        self.start_server()

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], **options)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def start_server(self):
        """And write down what happens from then on."""
        engines = ",".join(f"grpc://127.0.0.1:{p.port}?name={e.name}&capacity=32" for e, p in zip(self.engines, self.proxies))
        flags = [word for setting in self.settings for word in ("--set", setting)]
        self.server = self.start(self.programs / "orch-server", "--listen", self.server_at, "--store", f"sqlite:{self.folder}/o.db",
                                 "--engines", engines, *flags, stderr=self.log)
        wait_until("the server answers", lambda: self.ctl("list")[0] == 0)
        events = self.folder / "events"
        before = events.stat().st_size if events.exists() else 0
        self.subscriber = self.start(self.programs / "orchctl", "--server", self.server_at, "-o", "json", "events",
                                     stdout=self.stack.enter_context(open(events, "a")))
        self.define("hello", [{"id": "a", "executor": "noop"}])
        wait_until("events come", lambda: self.run("hello") and events.stat().st_size > before)

    def kill_server(self):
        for process in (self.subscriber, self.server):
            process.kill()
            process.wait()

    def ctl(self, *arguments, text=None):
        done = subprocess.run([str(self.programs / "orchctl"), "--server", self.server_at, *arguments], input=text, capture_output=True,
                              text=True, timeout=60)
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def define(self, name, steps, **more):
        code, _, error = self.ctl("apply", "-", text=json.dumps({"id": name, "version": "1.0.0", "steps": steps, **more}))
        assert code == 0, error

    def run(self, name, given=None):
        """To its end: the output, and the error's text."""
        code, out, error = self.ctl("run", name, "--input", json.dumps(given or {}))
        return json.loads(out) if code == 0 else None, error

    def begin(self, name, execution):
        code, _, error = self.ctl("start", name, "--id", execution)
        assert code == 0, error

    def end(self, execution):
        """How it ended."""
        def look():
            row = json.loads(self.ctl("show", execution, "-o", "json")[1])
            return row if row["state"] in ENDS else None
        return wait_until(f"the end of {execution}", look)

    def history(self, execution, step, kind):
        """The checkpoints of the step that are of the kind."""
        text, rows, at = self.ctl("history", execution, "-o", "json")[1], [], 0
        while at < len(text):
            row, at = json.JSONDecoder().raw_decode(text, at)
            at += 1  # the end of its line
            rows.append(row)
        return [row for row in rows if row.get("step") == step and row["kind"] == kind]

    def events(self, execution, kind, step="", text=None):
        """The texts of those events."""
        whole = (self.folder / "events").read_text()
        all_of_them = [json.loads(line) for line in whole[:whole.rfind("\n") + 1].splitlines()]
        return [e.get("text", "") for e in all_of_them if e.get("execution_id") == execution and e["kind"] == kind
                and e.get("step", "") == step and text in (None, e.get("text", ""))]

    def starts(self, execution, step):
        """How often the step was started."""
        return len(self.events(execution, "step", step, "running"))

    def hand_overs(self, execution):
        """To which engines, in order."""
        return self.events(execution, "execution_handed_over")
