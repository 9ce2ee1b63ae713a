"""What steps do. An engine of your own begins here: put your functions into EXECUTORS, by the names that definitions call them.

A function takes the step's evaluated `with` and a Task, runs on a thread of a pool, and gives the output, which has to be JSON; or raises
StepError. Any other exception fails the attempt with UNKNOWN. It may be run more than once for one step: all attempts have one idempotency key.
"""
import dataclasses
import threading


class StepError(Exception):
    """The attempt fails: with a canonical code, and whether another attempt may do better."""

    def __init__(self, code, message, retryable=True):
        super().__init__(message)
        self.code, self.retryable = code, retryable


@dataclasses.dataclass(frozen=True)
class Task:
    """One attempt of one step."""

    step: str  # its id
    attempt: int  # 1, 2, …
    idempotency_key: str
    started_ms: int
    stopping: threading.Event  # set: nobody wants the result any more


def echo(value, task):
    return value


def double(value, task):
    return 2 * value["n"]


def pause(value, task):
    if task.stopping.wait(value.get("seconds", 1)):
        raise StepError("CANCELLED", "it was told to stop", retryable=False)
    return value


def flaky(value, task):
    if task.attempt < value.get("good_from", 2):
        raise StepError("UNAVAILABLE", f"attempt {task.attempt} of {task.idempotency_key} fails")
    return value


EXECUTORS = {"noop": echo, "echo": echo, "double": double, "pause": pause, "flaky": flaky}
