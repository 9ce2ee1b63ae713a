"""One execution that an orchestrator handed over: a thread of its own, which has all of its state. What happens comes through one queue of events, from
the call's reader and from attempts; what there is to say goes into the call."""
import json
import queue
import threading
import time

import grpc

from definition import Refusal
from executors import EXECUTORS, StepError, Task
from orch.v1 import engine_pb2 as pb
from proof import Proof
from templates import evaluate

DETACH_GRACE_MS = 10_000
STATUS = {
    pb.Checkpoint.SUCCEEDED: "succeeded",
    pb.Checkpoint.FAILED: "failed",
    pb.Checkpoint.SKIPPED: "skipped",
    pb.Checkpoint.CANCELLED: "cancelled",
}


def now_ms():
    return int(time.time() * 1000)


def json_bytes(value):
    return json.dumps(value, allow_nan=False).encode()


def error_of(code, message, **more):
    return {"code": code, "message": message, **more}


class HandOver(threading.Thread):
    def __init__(self, engine, epoch, start, call):
        super().__init__(daemon=True, name=start.execution_id)
        self.engine, self.epoch, self.given = engine, epoch, start
        self.events = queue.Queue()
        self.call, self.detached_ms = call, 0  # no call: it is detached, since then
        self.proof, self.attached = Proof(), 0  # the highest number of attach
        self.over = False  # it is to be forgotten
        self.definition = self.input = None
        self.seq = self.stored_seq = start.checkpoints[-1].seq if start.checkpoints else 0
        self.unacknowledged, self.end = [], None  # reports
        # By place of the step:
        self.ends = {}  # the checkpoint that says how it ended
        self.retries = {}  # the checkpoint that says when the next attempt is due
        self.attempts, self.began_ms, self.running = {}, {}, set()
        self.closing = None  # (Report.State, error): the run ends so, whatever is still to do
        self.stopping = threading.Event()  # for those who run
        self.paused, self.draining = start.paused, False
        self.inbox_seen = 0

    def run(self):
        try:
            while True:
                looked_ms = now_ms()
                self.advance(looked_ms)
                if self.over:
                    break
                try:
                    event, *values = self.events.get(timeout=self.patience_s(looked_ms))
                except queue.Empty:  # something is due
                    continue
                getattr(self, "on_" + event)(*values)
        finally:
            self.leave()

    def leave(self):
        self.stopping.set()
        self.engine.forget(self)
        if self.call is not None:
            self.call.end()
        while not self.events.empty():  # it may have come before it was forgotten
            event, *values = self.events.get()
            if event == "attached":
                self.engine.refuse_attach(values[0], self.epoch)

    def patience_s(self, looked_ms):
        """Until the next thing that time brings: what was not due when advance() looked, though it may be by now."""
        times = [row.due_ms for row in self.retries.values() if row.due_ms > looked_ms]
        if self.given.deadline_ms and self.definition and self.closing is None and self.end is None:
            times.append(self.given.deadline_ms)
        if self.call is None:
            times.append(self.detached_ms + DETACH_GRACE_MS)
        return max(0, min(times) - now_ms()) / 1000 if times else None

    # ---- What is to be done

    def advance(self, now):
        if self.call is None and now >= self.detached_ms + DETACH_GRACE_MS:
            self.over = True  # nobody came back for it: it goes on elsewhere
        if self.over or self.definition is None or self.end is not None:
            return
        if self.given.deadline_ms and now >= self.given.deadline_ms:
            self.close(pb.Report.TIMED_OUT, "DEADLINE_EXCEEDED", "the execution passed its deadline")
        if self.call is not None and not (self.closing or self.paused or self.draining):
            self.start_ready(list(self.ready(now)))
        if not self.running and not self.unacknowledged:
            self.finish()

    def is_stored(self, row):
        return row.seq <= self.stored_seq

    def ready(self, now):
        """The places of steps to start. A cause has to be stored before its effect begins."""
        failed = self.first_failure() is not None
        for place, step in enumerate(self.definition.steps):
            if place in self.ends or place in self.running:
                continue
            retry = self.retries.get(place)
            if retry is not None:
                if self.is_stored(retry) and retry.due_ms <= now:
                    yield place
            elif not failed and all(d in self.ends and self.is_stored(self.ends[d]) for d in step.depends_on):
                yield place

    def start_ready(self, places):
        if not places:
            return
        if self.proof.holds():
            for place in places:
                self.begin_attempt(place)
        elif not self.proof.is_asked_for():
            self.say(need_confirmation=pb.NeedConfirmation(number=self.proof.ask()))

    def first_failure(self):
        failed = [row for row in self.ends.values() if row.kind == pb.Checkpoint.FAILED]
        return min(failed, key=lambda row: row.seq, default=None)

    def finish(self):
        """Nothing runs, and all that was done is stored: it may be over."""
        failure = self.first_failure()
        if self.closing is not None:
            self.complete(self.closing[0], error=self.closing[1])
        elif failure is not None and not self.retries:
            error = json.loads(failure.error)
            self.complete(pb.Report.FAILED, error={**error, "step": self.definition.steps[failure.step].id})
        elif len(self.ends) == len(self.definition.steps):
            try:
                self.complete(pb.Report.SUCCEEDED, output=evaluate(self.definition.output, self.scope()))
            except StepError as e:
                self.complete(pb.Report.FAILED, error=error_of(e.code, f"output: {e}"))
        elif self.draining:
            self.over = True  # the call ends without an end of the execution: that hands it back

    def close(self, state, code, message):
        if self.closing is None:
            self.closing = (state, error_of(code, message))
            self.stopping.set()

    # ---- Attempts

    def scope(self):
        """What expressions see."""
        start, definition = self.given, self.definition
        execution = {"id": start.execution_id, "workflow": definition.workflow, "version": definition.version, "run": start.run,
                     "accepted_ms": start.accepted_ms}
        if start.parent_id:
            execution["parent"] = start.parent_id
        steps = {
            definition.steps[place].id: {
                "status": STATUS[row.kind],
                "output": json.loads(row.output) if row.output else None,
                "error": json.loads(row.error) if row.error else None,
            }
            for place, row in self.ends.items()
        }
        return {"input": self.input, "steps": steps, "execution": execution, "item": None, "index": None}

    def begin_attempt(self, place):
        step, started_ms = self.definition.steps[place], now_ms()
        self.retries.pop(place, None)
        self.running.add(place)
        self.attempts[place] = attempt = self.attempts.get(place, 0) + 1
        self.began_ms.setdefault(place, started_ms)
        key = f"{self.given.execution_id}/{self.given.run}/{step.id}"
        self.say(step_started=pb.StepStarted(step=place, attempt=attempt, at_ms=started_ms))
        self.engine.pool.submit(self.attempt, place, Task(step.id, attempt, key, started_ms, self.stopping), self.scope())

    def attempt(self, place, task, scope):
        """On a thread of the pool."""
        step, output, error = self.definition.steps[place], b"", None
        try:
            output = json_bytes(EXECUTORS[step.executor](evaluate(step.input, scope), task))
        except StepError as e:
            error = e
        except Exception as e:  # a bug of the executor's is the step's failure
            error = StepError("UNKNOWN", repr(e))
        self.events.put(("ended", place, task, output, error))

    def on_ended(self, place, task, output, error):
        self.running.discard(place)
        row = pb.Checkpoint(step=place, attempt=task.attempt, kind=pb.Checkpoint.SUCCEEDED, started_ms=task.started_ms, ended_ms=now_ms(),
                            output=output)
        if error is not None:
            row.error = json_bytes(error_of(error.code, str(error)))
            retry = self.definition.steps[place].retry
            due_ms = None if self.closing else retry.due_ms(task.attempt, error, self.began_ms[place], row.ended_ms)
            if due_ms is not None:
                row.kind, row.due_ms = pb.Checkpoint.RETRYING, due_ms
            else:
                was_stopped = self.closing is not None and error.code in ("CANCELLED", "DEADLINE_EXCEEDED")
                row.kind = pb.Checkpoint.CANCELLED if was_stopped else pb.Checkpoint.FAILED
        self.seq += 1
        row.seq = self.seq
        self.note(row)
        self.unacknowledged.append(row)
        if self.call is not None:
            self.proof.on_told(row.seq)
        self.say(report=pb.Report(checkpoints=[row], inbox_seen=self.inbox_seen))

    def note(self, row):
        """A checkpoint, of now or of before."""
        if row.kind in STATUS:
            self.ends[row.step] = row
            self.retries.pop(row.step, None)
        elif row.kind == pb.Checkpoint.RETRYING:
            self.retries[row.step], self.attempts[row.step] = row, row.attempt

    # ---- What the orchestrator says

    def on_definition(self, definition):
        """It begins, or goes on where another hand-over left it."""
        self.definition, self.input = definition, definition.input_of(self.given.input)
        for row in self.given.checkpoints:
            self.began_ms.setdefault(row.step, row.started_ms)
            self.note(row)
        for item in self.given.inbox:
            self.on_inbox(item)
        self.inbox_seen = max(self.inbox_seen, self.given.inbox_seq)
        if any(row.kind == pb.Checkpoint.CANCELLED for row in self.ends.values()) and self.closing is None:
            # It was stopped, and not by a cancel, which would be in the inbox: by the clock of another machine.
            self.close(pb.Report.TIMED_OUT, "DEADLINE_EXCEEDED", "the execution passed its deadline")

    def on_confirmation(self, confirmation):
        self.proof.on_confirmation(confirmation.number)

    def on_ack(self, ack):
        self.proof.on_stored(ack.seq)
        self.stored_seq = max(self.stored_seq, ack.seq)
        self.unacknowledged = [row for row in self.unacknowledged if not self.is_stored(row)]

    def on_inbox(self, item):
        self.inbox_seen = max(self.inbox_seen, item.seq)
        if item.kind == pb.InboxItem.CANCEL:
            self.close(pb.Report.CANCELLED, "CANCELLED", json.loads(item.payload) if item.payload else "cancelled")

    def on_pause(self, pause):
        self.paused = pause.paused

    def on_drain(self):
        self.draining = True
        self.over = self.over or self.definition is None

    def on_drop(self):
        self.over = True

    def on_detached(self, call):
        if self.call is not call:
            return  # another one is open already
        self.call, self.detached_ms = None, now_ms()
        self.over = self.over or self.definition is None  # there is nothing yet that would be worth to come back for

    def on_attached(self, call, attach):
        """Say again whatever was not acknowledged."""
        if self.definition is None:
            self.engine.refuse_attach(call, self.epoch)
            self.over = True
            return
        if attach.number < self.attached:
            call.refuse(self.epoch, self.engine.instance, Refusal(grpc.StatusCode.ABORTED, "a newer attachment is here already"))
            return
        self.attached = attach.number
        if self.call is not None:
            self.call.end()  # of a break that only the orchestrator has noticed
        self.call = call
        self.on_ack(pb.Ack(seq=attach.stored_seq))
        self.say(accepted=pb.Accepted(instance=self.engine.instance, last_seq=self.seq, inbox_seen=self.inbox_seen,
                                      confirmation=self.proof.begin()))
        if self.unacknowledged:
            self.say(report=pb.Report(checkpoints=self.unacknowledged, inbox_seen=self.inbox_seen))
        if self.end is not None:
            self.say(report=self.end)

    # ---- What is said

    def say(self, **kind):
        if self.call is not None:
            self.call.say(self.epoch, **kind)

    def complete(self, state, output=None, error=None):
        self.end = pb.Report(end=pb.Report.COMPLETED, state=state, inbox_seen=self.inbox_seen)
        if output is not None:
            self.end.output = json_bytes(output)
        if error is not None:
            self.end.error = json_bytes(error)
        self.say(report=self.end)
