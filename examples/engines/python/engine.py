#!/usr/bin/env python3
"""An engine for liborch in Python: it runs workflows that an orchestrator hands over in gRPC, with checkpoints.

Written from orch/v1/engine.proto alone, with the official stack (grpcio). It is a start for an engine of your own: put your functions into
EXECUTORS. What it does not know of a definition it refuses by name, and the orchestrator says so.

    python3 -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. orch/v1/engine.proto
    python3 engine.py --listen 127.0.0.1:50061 --name py
"""
import argparse
import json
import queue
import re
import signal
import socket
import sys
import threading
import time
from concurrent import futures

import grpc

from orch.v1 import engine_pb2 as pb
from orch.v1 import engine_pb2_grpc as pb_grpc

DETACH_GRACE_S = 10
PART_BYTES = 1 << 20
KNOWN_STEP_KEYS = {"id", "executor", "depends_on", "with", "retry"}
KNOWN_KEYS = {"id", "version", "steps", "output", "description"}
END_KINDS = {pb.Checkpoint.SUCCEEDED, pb.Checkpoint.FAILED, pb.Checkpoint.SKIPPED, pb.Checkpoint.CANCELLED}


class StepError(Exception):
    """A step fails: with a canonical code, and whether another attempt may do better."""

    def __init__(self, code, message, retryable=True):
        super().__init__(message)
        self.code, self.retryable = code, retryable


# ---- What steps do: functions of (input, task); give the output, or raise StepError -----------------------------------


def echo(value, task):
    return value


def double(value, task):
    return 2 * value["n"]


def pause(value, task):
    task.stopping.wait(value.get("seconds", 1))
    return value


def flaky(value, task):
    if task.attempt < value.get("good_from", 2):
        raise StepError("UNAVAILABLE", f"attempt {task.attempt} of {task.idempotency_key} fails")
    return value


EXECUTORS = {"noop": echo, "echo": echo, "double": double, "pause": pause, "flaky": flaky}


# ---- Definitions ----------------------------------------------------------------------------------------------------------


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def check(definition):
    """Refuse what this engine does not know, rather than run it wrongly."""
    unknown = sorted(set(definition) - KNOWN_KEYS)
    for step in definition["steps"]:
        unknown += [f"{key} of step {step['id']}" for key in sorted(set(step) - KNOWN_STEP_KEYS)]
        if step["executor"] not in EXECUTORS:
            unknown.append(f"executor {step['executor']}")
    if unknown:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "this engine does not know: " + ", ".join(unknown))


def duration_s(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)(ms|s|m|h)", text))


def evaluate(template, scope):
    """Plain paths: ${input.a.b}, ${steps.x.output.y}. A text that is one ${…} keeps the value's type."""
    if isinstance(template, dict):
        return {key: evaluate(value, scope) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, scope) for value in template]
    if not isinstance(template, str):
        return template
    whole = re.fullmatch(r"\$\{([^{}]*)\}", template)
    if whole:
        return look_up(whole.group(1), scope)
    parts = re.split(r"(\$\$\{|\$\{[^{}]*\})", template)
    return "".join(as_text(look_up(p[2:-1], scope)) if p.startswith("${") else "${" if p == "$${" else p for p in parts)


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def look_up(path, scope):
    value = scope
    for name in path.strip().split("."):
        if not re.fullmatch(r"\w+", name):
            raise StepError("UNIMPLEMENTED", f"this engine knows plain paths alone, not ${{{path}}}", False)
        value = value.get(name) if isinstance(value, dict) else None
    return value


# ---- One hand-over ----------------------------------------------------------------------------------------------------------


class Task:
    """One attempt of one step."""

    def __init__(self, handover, step, attempt):
        self.step, self.attempt = step, attempt
        self.started_ms = now_ms()
        self.stopping = handover.stopping
        self.idempotency_key = f"{handover.given.execution_id}/{handover.given.run}/{step['id']}"


def now_ms():
    return int(time.time() * 1000)


class HandOver(threading.Thread):
    """Runs one execution. Its events come from the call's reader, from attempts and from timers, through one queue; what it has to say goes
    into `out`, which belongs to the call that is open; None: it is detached."""

    def __init__(self, engine, epoch, start):
        super().__init__(daemon=True)
        self.engine, self.epoch, self.given = engine, epoch, start
        self.events, self.out = queue.Queue(), None
        self.stopping = threading.Event()
        self.seq = start.checkpoints[-1].seq if start.checkpoints else 0
        self.stored_seq = self.seq
        self.unacknowledged, self.end = [], None
        self.ends, self.outputs, self.attempts = {}, {}, {}  # by place of the step
        self.running, self.waiting = set(), set()
        self.cancelled, self.paused = None, start.paused
        self.inbox_seen = max([i.seq for i in start.inbox], default=start.inbox_seq)
        self.detached_at = None

    def begin(self, definition):
        self.definition = definition
        self.input = json.loads(self.given.input) if self.given.input else {}
        for row in self.given.checkpoints:
            self.restore(row)
        for item in self.given.inbox:
            self.on_inbox(item)
        super().start()

    def restore(self, row):
        self.attempts[row.step] = row.attempt
        if row.kind in END_KINDS:
            self.ends[row.step] = (row.kind, row.seq)
            self.outputs[row.step] = json.loads(row.output) if row.output else None

    # -- what is said

    def say(self, **kind):
        if self.out is not None:
            self.out.put(pb.ToOrchestrator(epoch=self.epoch, **kind))

    def report(self, row, inbox_seq=0):
        self.seq += 1
        row.seq, row.inbox_seq = self.seq, inbox_seq
        self.unacknowledged.append(row)
        self.say(report=pb.Report(checkpoints=[row], inbox_seen=self.inbox_seen))

    def complete(self, state, output=None, error=None):
        self.end = pb.Report(end=pb.Report.COMPLETED, state=state, inbox_seen=self.inbox_seen)
        if output is not None:
            self.end.output = json.dumps(output).encode()
        if error is not None:
            self.end.error = error
        self.say(report=self.end)

    # -- the loop

    def run(self):
        while True:
            if self.end is None:
                self.advance()
            try:
                event, *values = self.events.get(timeout=0.5)
            except queue.Empty:
                if self.out is None and time.monotonic() - self.detached_at > DETACH_GRACE_S:
                    break  # nobody came back for it: it goes on elsewhere
                continue
            if event == "drop":
                break
            getattr(self, "on_" + event)(*values)
        self.stopping.set()
        self.engine.forget(self)
        if self.out is not None:
            self.out.put(None)

    def advance(self):
        """Start what is ready; see whether all is over. A cause has to be stored before its effect begins."""
        steps = self.definition["steps"]
        places = {step["id"]: i for i, step in enumerate(steps)}
        failed = [i for i, (kind, _) in self.ends.items() if kind == pb.Checkpoint.FAILED]
        stored = lambda i: i in self.ends and self.ends[i][1] <= self.stored_seq
        closing = self.cancelled is not None or failed
        if self.out is not None and not closing and not self.paused and not self.engine.draining:
            for i, step in enumerate(steps):
                ready = all(stored(places[d]) for d in step.get("depends_on", []))
                if i not in self.ends and i not in self.running and i not in self.waiting and ready:
                    self.begin_attempt(i, step)
        if self.running or self.unacknowledged:
            return
        if self.cancelled is not None:
            error = {"code": "CANCELLED", "message": self.cancelled}
            self.complete(pb.Report.CANCELLED, error=json.dumps(error).encode())
        elif failed:
            self.complete(pb.Report.FAILED, error=self.outputs[failed[0]])
        elif len(self.ends) == len(steps):
            self.complete(pb.Report.SUCCEEDED, output=evaluate(self.definition.get("output"), self.scope()))

    def scope(self):
        steps = self.definition["steps"]
        done = {steps[i]["id"]: {"output": self.outputs[i]} for i, (kind, _) in self.ends.items() if kind == pb.Checkpoint.SUCCEEDED}
        return {"input": self.input, "steps": done}

    def begin_attempt(self, i, step):
        self.attempts[i] = self.attempts.get(i, 0) + 1
        self.running.add(i)
        task = Task(self, step, self.attempts[i])
        self.say(step_started=pb.StepStarted(step=i, attempt=task.attempt, at_ms=task.started_ms))
        self.engine.pool.submit(self.attempt, i, task, self.scope())

    def attempt(self, i, task, scope):
        """On a thread of the pool."""
        try:
            output = EXECUTORS[task.step["executor"]](evaluate(task.step.get("with"), scope), task)
            self.events.put(("ended", i, task, json.dumps(output).encode(), None))
        except StepError as e:
            self.events.put(("ended", i, task, None, e))
        except Exception as e:  # a bug of the executor's is the step's failure
            self.events.put(("ended", i, task, None, StepError("UNKNOWN", repr(e))))

    # -- events

    def on_ended(self, i, task, output, error):
        self.running.discard(i)
        row = pb.Checkpoint(step=i, attempt=task.attempt, started_ms=task.started_ms, ended_ms=now_ms())
        if error is None:
            row.kind, row.output = pb.Checkpoint.SUCCEEDED, output
            self.outputs[i] = json.loads(output)
        else:
            row.error = json.dumps({"code": error.code, "message": str(error)}).encode()
            retry = task.step.get("retry", {})
            again = error.retryable and task.attempt < retry.get("max_attempts", 1) and self.cancelled is None
            row.kind = pb.Checkpoint.RETRYING if again else pb.Checkpoint.FAILED
            self.outputs[i] = row.error
            if again:
                wait_s = duration_s(retry.get("initial_interval", "1s")) * retry.get("backoff", 2.0) ** (task.attempt - 1)
                row.due_ms = now_ms() + int(1000 * wait_s)
                self.waiting.add(i)
                threading.Timer(wait_s, self.events.put, [("due", i)]).start()
        self.report(row)
        if row.kind in END_KINDS:
            self.ends[i] = (row.kind, row.seq)

    def on_due(self, i):
        self.waiting.discard(i)

    def on_ack(self, ack):
        self.stored_seq = max(self.stored_seq, ack.seq)
        self.unacknowledged = [row for row in self.unacknowledged if row.seq > ack.seq]

    def on_inbox(self, item):
        self.inbox_seen = max(self.inbox_seen, item.seq)
        if item.kind == pb.InboxItem.CANCEL:
            self.cancelled = json.loads(item.payload) if item.payload else "cancelled"
            self.stopping.set()

    def on_pause(self, pause_message):
        self.paused = pause_message.paused

    def on_detached(self, out):
        if self.out is out:
            self.out, self.detached_at = None, time.monotonic()

    def on_attached(self, out, attach):
        """Say again whatever was not acknowledged."""
        self.out = out
        self.on_ack(pb.Ack(seq=attach.stored_seq))
        self.say(accepted=pb.Accepted(instance=self.engine.instance, last_seq=self.seq, inbox_seen=self.inbox_seen))
        if self.unacknowledged:
            self.say(report=pb.Report(checkpoints=self.unacknowledged, inbox_seen=self.inbox_seen))
        if self.end is not None:
            self.say(report=self.end)


# ---- The service --------------------------------------------------------------------------------------------------------------


def older(a, b):
    return (a.term, a.counter) < (b.term, b.counter)


class Engine(pb_grpc.EngineServiceServicer):
    def __init__(self, name, capacity):
        self.name, self.capacity, self.draining = name, capacity, False
        self.instance = time.time_ns() or 1
        self.started_ms = now_ms()
        self.pool = futures.ThreadPoolExecutor(max_workers=capacity * 4)
        self.lock, self.handovers, self.definitions = threading.Lock(), {}, {}

    def forget(self, handover):
        with self.lock:
            if self.handovers.get(handover.given.execution_key) is handover:
                del self.handovers[handover.given.execution_key]

    def Execute(self, requests, context):
        out = queue.Queue()
        threading.Thread(target=self.read, args=(requests, out, context), daemon=True).start()
        while (message := out.get()) is not None:
            yield from parts(message)

    def read(self, requests, out, context):
        """What comes down one call. Its end without a break means that the orchestrator is done with the hand-over."""
        handover = None
        try:
            for message in whole(requests):
                kind = message.WhichOneof("kind")
                if kind == "start":
                    handover = self.take(message, out)
                elif kind == "attach":
                    handover = self.attach(message, out)
                elif kind == "definition" and handover:
                    self.define(handover, message.definition, out)
                elif kind in ("ack", "inbox", "pause") and handover:
                    handover.events.put((kind, getattr(message, kind)))
                elif kind == "stop" and handover:
                    handover.events.put(("drop",))
            if handover:  # grpcio may end the iteration for a call that broke, too
                handover.events.put(("drop",) if context.is_active() else ("detached", out))
            out.put(None)
        except grpc.RpcError:  # the call broke: the orchestrator will attach again
            if handover:
                handover.events.put(("detached", out))
            out.put(None)

    def refuse(self, epoch, out, code, message):
        out.put(pb.ToOrchestrator(epoch=epoch, refused=pb.Refused(code=code.value[0], instance=self.instance, message=message)))
        out.put(None)

    def take(self, message, out):
        start, epoch = message.start, message.epoch
        with self.lock:
            old = self.handovers.get(start.execution_key)
            if old is not None and not older(old.epoch, epoch):
                return self.refuse(epoch, out, grpc.StatusCode.ABORTED, "a newer hand-over is here already")
            if self.draining:
                return self.refuse(epoch, out, grpc.StatusCode.UNAVAILABLE, f"engine {self.name} is stopping")
            if old is None and len(self.handovers) >= self.capacity:
                return self.refuse(epoch, out, grpc.StatusCode.RESOURCE_EXHAUSTED, f"engine {self.name} is full")
            handover = self.handovers[start.execution_key] = HandOver(self, epoch, start)
        if old is not None:
            old.out = None
            old.events.put(("drop",))
        handover.out = out
        handover.say(accepted=pb.Accepted(instance=self.instance, last_seq=handover.seq, inbox_seen=handover.inbox_seen))
        known = self.definitions.get(start.definition_digest)
        if known:
            self.begin(handover, known, out)
        else:
            handover.say(need_definition=pb.NeedDefinition(digest=start.definition_digest))
        return handover

    def define(self, handover, definition, out):
        self.definitions[definition.digest] = json.loads(definition.text)
        self.begin(handover, self.definitions[definition.digest], out)

    def begin(self, handover, definition, out):
        try:
            check(definition)
            handover.begin(definition)
        except Refusal as e:
            self.forget(handover)
            self.refuse(handover.epoch, out, e.code, str(e))

    def attach(self, message, out):
        with self.lock:
            handover = self.handovers.get(message.attach.execution_key)
        if handover is None or handover.epoch != message.epoch:
            self.refuse(message.epoch, out, grpc.StatusCode.NOT_FOUND, f"engine {self.name} does not have that hand-over")
            return None
        handover.events.put(("attached", out, message.attach))
        return handover

    def StopWorkflow(self, request, context):
        with self.lock:
            handover = self.handovers.get(request.execution_key)
        if handover is None or older(request.epoch, handover.epoch):
            return pb.StopWorkflowResponse(stopped=False)
        handover.events.put(("drop",))
        return pb.StopWorkflowResponse(stopped=True)

    def GetEngineStatus(self, request, context):
        active = len(self.handovers)
        return pb.EngineStatus(name=self.name, instance=self.instance, capacity=self.capacity, active=active, draining=self.draining,
                               executors=sorted(EXECUTORS), started_ms=self.started_ms, utilisation=active / self.capacity)


def parts(message):
    """A message that is too large goes in parts."""
    data = message.SerializeToString()
    if len(data) <= PART_BYTES:
        yield message
        return
    for at in range(0, len(data), PART_BYTES):
        yield pb.ToOrchestrator(part=pb.Part(data=data[at:at + PART_BYTES], more=at + PART_BYTES < len(data)))


def whole(messages):
    gathered = b""
    for message in messages:
        if message.WhichOneof("kind") != "part":
            yield message
            continue
        gathered += message.part.data
        if not message.part.more:
            yield pb.ToEngine.FromString(gathered)
            gathered = b""


def main():
    arguments = argparse.ArgumentParser(description="An engine for liborch in Python")
    arguments.add_argument("--listen", default="127.0.0.1:50061")
    arguments.add_argument("--name", default=socket.gethostname())
    arguments.add_argument("--capacity", type=int, default=32)
    a = arguments.parse_args()
    engine = Engine(a.name, a.capacity)
    # The orchestrator pings after ten seconds of silence, which servers do not permit unless they are told to.
    options = [("grpc.http2.min_ping_interval_without_data_ms", 5000), ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2 * a.capacity + 8), options=options)
    pb_grpc.add_EngineServiceServicer_to_server(engine, server)
    port = server.add_insecure_port(a.listen)
    server.start()
    print(f"listening {port}", flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    engine.draining = True  # nothing new starts; what runs may end
    until = time.monotonic() + 30
    while any(h.running or h.unacknowledged for h in list(engine.handovers.values())) and time.monotonic() < until:
        time.sleep(0.05)
    server.stop(0).wait()
    sys.exit(0)


if __name__ == "__main__":
    main()
