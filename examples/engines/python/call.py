"""One Execute call, as seen from the engine: what is said goes into it from any thread, and leaves in order."""
import queue

from orch.v1 import engine_pb2 as pb

PART_BYTES = 1 << 20


class Call:
    def __init__(self):
        self.messages = queue.Queue()

    def say(self, epoch, **kind):
        self.messages.put(pb.ToOrchestrator(epoch=epoch, **kind))

    def end(self):
        """With OK. Without a report of an end before, that hands the execution back."""
        self.messages.put(None)

    def refuse(self, epoch, instance, refusal):
        self.say(epoch, refused=pb.Refused(code=refusal.code.value[0], instance=instance, message=str(refusal)))
        self.end()

    def responses(self):
        while (message := self.messages.get()) is not None:
            yield from parts(message)


def parts(message):
    """A message that is too large for one of gRPC goes in parts."""
    data = message.SerializeToString()
    if len(data) <= PART_BYTES:
        yield message
        return
    for at in range(0, len(data), PART_BYTES):
        yield pb.ToOrchestrator(part=pb.Part(data=data[at:at + PART_BYTES], more=at + PART_BYTES < len(data)))


def whole(messages):
    """What came in parts, put together."""
    gathered = b""
    for message in messages:
        if message.WhichOneof("kind") != "part":
            yield message
            continue
        gathered += message.part.data
        if not message.part.more:
            yield pb.ToEngine.FromString(gathered)
            gathered = b""
