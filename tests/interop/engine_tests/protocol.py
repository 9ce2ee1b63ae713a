"""What engine.proto says, where an orchestrator seldom goes: the scenes are orchestrators themselves."""
import hashlib
import json
import queue
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from orch.v1 import engine_pb2 as pb
from orch.v1 import engine_pb2_grpc as pb_grpc
from rig import PATIENCE_S, Engine, expect, wait_until

EPOCH = pb.Epoch(term=1, counter=1)
PAUSE = json.dumps({"id": "p", "version": "1.0.0", "steps": [
    {"id": "a", "executor": "pause", "with": {"seconds": 1}}, {"id": "b", "executor": "echo", "depends_on": ["a"]}]}).encode()


def code(status):
    return status.value[0]


def now_ms():
    return time.time_ns() // 1_000_000


class HandOver:
    """One Execute call of an orchestrator's."""

    def __init__(self, stub, epoch=EPOCH, confirms=True):
        self.epoch, self.confirms, self.requests = epoch, confirms, queue.Queue()
        self.call = stub.Execute(iter(self.requests.get, None), timeout=PATIENCE_S)

    def say(self, **kind):
        self.requests.put(pb.ToEngine(epoch=self.epoch, **kind))

    def start(self, key, text=PAUSE, **more):
        self.say(start=pb.Start(execution_id=f"x{key}", execution_key=key, run=1, definition_digest=hashlib.sha256(text).digest(), **more))

    def define(self, text=PAUSE, digest=None):
        self.say(definition=pb.Definition(digest=digest or hashlib.sha256(text).digest(), text=text))

    def next(self, kind):
        """What the engine says next, of that kind."""
        while (message := next(self.call, None)) is not None:
            expect("epoch", message.epoch, self.epoch)
            got = message.WhichOneof("kind")
            self.confirm(message)
            if got == kind:
                return getattr(message, kind)
            assert got in ("step_started", "need_confirmation"), f"{got} instead of {kind}: {message}"
        raise AssertionError(f"the call ended with {self.call.code()} instead of {kind}")

    def defined(self):
        """It is accepted, and its definition is asked for and given."""
        self.next("accepted")
        self.next("need_definition")
        self.define()

    def confirm(self, message):
        number = message.accepted.confirmation or message.need_confirmation.number
        if number and self.confirms:
            self.say(confirmation=pb.Confirmation(number=number))

    def over(self):
        """The engine ends the call."""
        expect("said at the end", list(self.call), [])
        expect("how the call ends", self.call.code(), grpc.StatusCode.OK)

    def refused(self, status):
        expect("refused with", self.next("refused").code, code(status))
        self.over()

    def ended(self):
        """The execution is worked off, with what there is to store stored."""
        while (report := self.next("report")).end == pb.Report.GOES_ON:
            self.say(ack=pb.Ack(seq=report.checkpoints[-1].seq))
        self.requests.put(None)
        self.over()
        return report


def connect(stack, command, *flags):
    engine = Engine(stack, command, "e", *flags)
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{engine.port}"))
    return engine, channel, pb_grpc.EngineServiceStub(channel)


def a_definition_is_asked_for_once(stack, command):
    _, _, stub = connect(stack, command)
    first = HandOver(stub)
    first.start(1)
    first.next("accepted")
    expect("wanted", first.next("need_definition").digest, hashlib.sha256(PAUSE).digest())
    first.define()
    expect("end", first.ended().state, pb.Report.SUCCEEDED)
    second = HandOver(stub)
    second.start(2)
    second.next("accepted")
    expect("end", second.ended().state, pb.Report.SUCCEEDED)


def a_wrong_definition_is_refused(stack, command):
    _, _, stub = connect(stack, command, "--capacity", "1")
    for key in (1, 2):  # and its place is free again
        one = HandOver(stub)
        one.start(key)
        one.next("accepted")
        one.next("need_definition")
        one.define(PAUSE.replace(b"1.0.0", b"1.0.1"), digest=hashlib.sha256(PAUSE).digest())
        one.refused(grpc.StatusCode.DATA_LOSS)


def a_call_that_breaks_early_leaves_no_trace(stack, command):
    _, _, stub = connect(stack, command, "--capacity", "1")
    one = HandOver(stub)
    one.start(1)
    one.next("accepted")
    one.next("need_definition")
    full = HandOver(stub)
    full.start(2)
    full.refused(grpc.StatusCode.RESOURCE_EXHAUSTED)
    one.call.cancel()
    wait_until("the place is free", lambda: stub.GetEngineStatus(pb.GetEngineStatusRequest()).active == 0)
    again = HandOver(stub)
    again.say(attach=pb.Attach(execution_key=1))
    again.refused(grpc.StatusCode.NOT_FOUND)
    two = HandOver(stub)
    two.start(2)
    two.next("accepted")


def epochs_have_an_order(stack, command):
    _, _, stub = connect(stack, command)
    old = HandOver(stub, pb.Epoch(term=2, counter=5))
    old.start(1)
    old.next("accepted")
    old.next("need_definition")
    for epoch in (old.epoch, pb.Epoch(term=1, counter=9)):
        late = HandOver(stub, epoch)
        late.start(1)
        late.refused(grpc.StatusCode.ABORTED)
    new = HandOver(stub, pb.Epoch(term=3, counter=1))
    new.start(1)
    new.next("accepted")
    old.over()
    attach = HandOver(stub, old.epoch)
    attach.say(attach=pb.Attach(execution_key=1))
    attach.refused(grpc.StatusCode.NOT_FOUND)


def what_was_not_acknowledged_is_said_again(stack, command):
    _, _, stub = connect(stack, command)
    one = HandOver(stub)
    one.start(1)
    one.defined()
    said = one.next("report").checkpoints
    one.call.cancel()
    again = HandOver(stub)
    again.say(attach=pb.Attach(execution_key=1, stored_seq=0))
    expect("last_seq", again.next("accepted").last_seq, 1)
    report = again.next("report")
    expect("said again", list(report.checkpoints), list(said))
    again.say(ack=pb.Ack(seq=1))
    expect("end", again.ended().state, pb.Report.SUCCEEDED)


def nothing_starts_while_it_is_detached(stack, command):
    _, _, stub = connect(stack, command)
    text = json.dumps({"id": "w", "version": "1.0.0", "steps": [
        {"id": "f", "executor": "flaky", "with": {}, "retry": {}}, {"id": "e", "executor": "echo"}]}).encode()
    due_ms = now_ms() + 1000
    failed = pb.Checkpoint(seq=1, step=0, attempt=1, kind=pb.Checkpoint.RETRYING, started_ms=1, ended_ms=2, due_ms=due_ms, error=b"{}")
    one = HandOver(stub)
    one.start(1, text, checkpoints=[failed])
    one.next("accepted")
    one.next("need_definition")
    one.define(text)
    expect("the other step", one.next("report").checkpoints[0].step, 1)
    one.call.cancel()
    wait_until("the attempt is due, and more", lambda: now_ms() > due_ms + 300)
    begun_ms = now_ms()
    again = HandOver(stub)
    again.say(attach=pb.Attach(execution_key=1, stored_seq=2))
    again.next("accepted")
    row = again.next("report").checkpoints[0]
    expect("the attempt's end", (row.step, row.attempt, row.kind), (0, 2, pb.Checkpoint.SUCCEEDED))
    assert row.started_ms >= begun_ms, f"it started {begun_ms - row.started_ms} ms before the call was back"


def no_step_starts_without_proof(stack, command):
    _, _, stub = connect(stack, command)
    one = HandOver(stub, confirms=False)
    one.start(1)
    first = one.next("accepted").confirmation
    assert first, "it does not ask"
    one.next("need_definition")
    one.define()
    asked_ms = now_ms()
    one.say(confirmation=pb.Confirmation(number=first + 1))
    wait_until("an answer would be too late", lambda: now_ms() > asked_ms + 2100)
    one.say(confirmation=pb.Confirmation(number=first))
    second = one.next("need_confirmation").number
    assert second > first, f"question {second} after {first}"
    wait_until("some time has passed", lambda: now_ms() > asked_ms + 2500)
    confirmed_ms = now_ms()
    one.say(confirmation=pb.Confirmation(number=second))
    row = one.next("report").checkpoints[0]
    assert row.started_ms >= confirmed_ms, f"it started {confirmed_ms - row.started_ms} ms before that was confirmed"


def an_older_attachment_is_refused(stack, command):
    _, _, stub = connect(stack, command)
    one = HandOver(stub)
    one.start(1)
    one.defined()
    expect("starts", one.next("step_started").attempt, 1)
    newer, older = HandOver(stub), HandOver(stub)
    newer.say(attach=pb.Attach(execution_key=1, number=2))
    newer.next("accepted")
    older.say(attach=pb.Attach(execution_key=1, number=1))
    older.refused(grpc.StatusCode.ABORTED)


def checkpoints_are_not_done_again(stack, command):
    _, _, stub = connect(stack, command)
    one = HandOver(stub)
    done = pb.Checkpoint(seq=1, step=0, attempt=1, kind=pb.Checkpoint.SUCCEEDED, started_ms=1, ended_ms=2, output=b'{"seconds":50}')
    one.start(1, checkpoints=[done])
    expect("last_seq", one.next("accepted").last_seq, 1)
    one.next("need_definition")
    one.define()
    row = one.next("report").checkpoints[0]
    expect("the next step", (row.seq, row.step, row.kind), (2, 1, pb.Checkpoint.SUCCEEDED))


def it_hands_back_when_it_drains(stack, command):
    engine, channel, stub = connect(stack, command)
    health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    expect("health", next(health).status, health_pb2.HealthCheckResponse.SERVING)
    one = HandOver(stub)
    one.start(1)
    one.defined()
    expect("starts", next(one.call).step_started.attempt, 1)
    engine.terminate()
    expect("health", next(health).status, health_pb2.HealthCheckResponse.NOT_SERVING)
    late = HandOver(stub)
    late.start(2)
    late.refused(grpc.StatusCode.UNAVAILABLE)
    report = one.next("report")  # what ran ends
    expect("its end", report.checkpoints[0].kind, pb.Checkpoint.SUCCEEDED)
    one.say(ack=pb.Ack(seq=1))
    one.over()  # and its execution has not ended
    expect("exit", engine.wait(), 0)


SCENES = [
    a_definition_is_asked_for_once,
    a_wrong_definition_is_refused,
    a_call_that_breaks_early_leaves_no_trace,
    epochs_have_an_order,
    what_was_not_acknowledged_is_said_again,
    nothing_starts_while_it_is_detached,
    no_step_starts_without_proof,
    an_older_attachment_is_refused,
    checkpoints_are_not_done_again,
    it_hands_back_when_it_drains,
]
