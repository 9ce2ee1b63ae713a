"""EngineService: takes what comes in calls, and gives it to the hand-over that it is for."""
import threading
import time
from concurrent import futures

import grpc

import definition
from call import Call, whole
from definition import Refusal
from executors import EXECUTORS
from handover import HandOver, now_ms
from orch.v1 import engine_pb2 as pb
from orch.v1 import engine_pb2_grpc as pb_grpc

DEFINITIONS_MAX = 1000
BREAK_S = 1


def older(a, b):
    return (a.term, a.counter) < (b.term, b.counter)


class Engine(pb_grpc.EngineServiceServicer):
    def __init__(self, name, capacity):
        self.name, self.capacity, self.draining = name, capacity, False
        self.instance = time.time_ns()  # another one after each start
        self.started_ms = now_ms()
        self.pool = futures.ThreadPoolExecutor(max_workers=capacity * 4)
        self.handovers, self.definitions = {}, {}  # by the execution's key; by digest, the oldest first
        self.changed = threading.Condition()  # of these, and of draining

    # ---- Calls

    def Execute(self, requests, context):
        call = Call()
        threading.Thread(target=self.read, args=(requests, call, context), daemon=True).start()
        return call.responses()

    def read(self, requests, call, context):
        """What comes down one call. Its end without a break means that the orchestrator is done with the hand-over."""
        handover, is_broken, terminated = None, True, threading.Event()
        if not context.add_callback(terminated.set):
            terminated.set()
        try:
            for message in whole(requests):
                kind = message.WhichOneof("kind")
                if kind == "start":
                    handover = self.take(message.start, message.epoch, call)
                elif kind == "attach":
                    handover = self.attach(message.attach, message.epoch, call)
                elif handover is not None:
                    self.pass_on(handover, kind, message, call)
            # grpcio ends the iteration for most calls that broke, too, and says only a moment later that they did. Of one that has said its end
            # there is nothing to lose.
            is_broken = terminated.wait(0 if handover is None or handover.end is not None else BREAK_S)
        except grpc.RpcError:
            pass  # the orchestrator will attach again
        if handover is not None:
            handover.events.put(("detached", call) if is_broken else ("drop",))
        call.end()

    def pass_on(self, handover, kind, message, call):
        if kind == "definition":
            self.define(handover, message.definition, call)
        elif kind == "stop":
            handover.events.put(("drop",))
        elif kind in ("ack", "inbox", "pause", "confirmation"):  # others are of later versions, or for what this engine does not do
            handover.events.put((kind, getattr(message, kind)))

    def take(self, start, epoch, call):
        try:
            handover, old = self.add(start, epoch, call)
        except Refusal as e:
            call.refuse(epoch, self.instance, e)
            return None
        if old is not None:
            old.events.put(("drop",))
        call.say(epoch, accepted=pb.Accepted(instance=self.instance, last_seq=handover.seq, inbox_seen=start.inbox_seq,
                                             confirmation=handover.proof.begin()))
        known = self.definitions.get(start.definition_digest)
        if known is not None:
            handover.events.put(("definition", known))
        else:
            call.say(epoch, need_definition=pb.NeedDefinition(digest=start.definition_digest))
        handover.start()
        return handover

    def add(self, start, epoch, call):
        """The new hand-over, and the one that it replaces."""
        with self.changed:
            old = self.handovers.get(start.execution_key)
            if old is not None and not older(old.epoch, epoch):
                raise Refusal(grpc.StatusCode.ABORTED, "a newer hand-over is here already")
            if self.draining:
                raise Refusal(grpc.StatusCode.UNAVAILABLE, f"engine {self.name} is stopping")
            if old is None and len(self.handovers) >= self.capacity:
                raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, f"engine {self.name} is full")
            handover = self.handovers[start.execution_key] = HandOver(self, epoch, start, call)
            return handover, old

    def define(self, handover, message, call):
        digest = handover.given.definition_digest
        try:
            known = definition.read(message.text, digest)
        except Refusal as e:
            call.refuse(handover.epoch, self.instance, e)
            handover.events.put(("drop",))
            return
        with self.changed:
            self.definitions[digest] = known
            for oldest in list(self.definitions)[:-DEFINITIONS_MAX]:
                del self.definitions[oldest]
        handover.events.put(("definition", known))

    def attach(self, attach, epoch, call):
        with self.changed:  # so that it cannot be forgotten in between
            handover = self.handovers.get(attach.execution_key)
            if handover is not None and handover.epoch == epoch:
                handover.events.put(("attached", call, attach))
                return handover
        self.refuse_attach(call, epoch)
        return None

    def refuse_attach(self, call, epoch):
        call.refuse(epoch, self.instance, Refusal(grpc.StatusCode.NOT_FOUND, f"engine {self.name} does not have that hand-over"))

    # ---- Beside the executions

    def StopWorkflow(self, request, context):
        with self.changed:
            handover = self.handovers.get(request.execution_key)
        if handover is None or older(request.epoch, handover.epoch):
            return pb.StopWorkflowResponse(stopped=False)
        handover.events.put(("drop",))
        return pb.StopWorkflowResponse(stopped=True)

    def GetEngineStatus(self, request, context):
        active = len(self.handovers)
        return pb.EngineStatus(name=self.name, instance=self.instance, capacity=self.capacity, active=active, draining=self.draining,
                               executors=sorted(EXECUTORS), started_ms=self.started_ms, utilisation=active / self.capacity)

    # ---- Life

    def forget(self, handover):
        with self.changed:
            if self.handovers.get(handover.given.execution_key) is handover:
                del self.handovers[handover.given.execution_key]
            self.changed.notify_all()

    def drain(self, grace_s):
        """Nothing new is taken, and no step starts. What runs may end; then executions go back, and go on elsewhere."""
        with self.changed:
            self.draining = True
            for event, patience_s in (("drain", grace_s), ("drop", 5)):
                for handover in self.handovers.values():
                    handover.events.put((event,))
                if self.changed.wait_for(lambda: not self.handovers, patience_s):
                    break
