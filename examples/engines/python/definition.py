"""What a definition says (docs/definition.md), as far as this engine knows it. What it does not know it refuses, rather than run it wrongly."""
import dataclasses
import hashlib
import json
import random
import re

import grpc

from executors import EXECUTORS
from templates import unknown_expressions

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# `timeout` comes with each start, as a deadline.
KEYS = {"id", "version", "description", "labels", "timeout", "inputs", "steps", "output"}
STEP_KEYS = {"id", "executor", "description", "depends_on", "with", "retry"}


class Refusal(Exception):
    """The execution is not taken: with a code, whose meaning stands in engine.proto at Refused."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def duration_ms(text):
    return sum(int(number) * UNITS_MS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))


class Retry:
    """When an attempt that failed is followed by another. Its defaults hold where a step has `retry`; a step without has one attempt."""

    def __init__(self, written):
        written = {"max_attempts": 1} if written is None else written
        self.max_attempts = written.get("max_attempts", 3)
        self.initial_ms = duration_ms(written.get("initial_interval", "1s"))
        self.backoff = written.get("backoff", 2.0)
        self.longest_ms = max(duration_ms(written.get("max_interval", "1m")), self.initial_ms)
        self.jitter = written.get("jitter", 0.2)
        self.elapsed_ms = duration_ms(written["max_elapsed"]) if "max_elapsed" in written else None
        self.non_retryable = frozenset(written.get("non_retryable", []))

    def due_ms(self, attempt, error, began_ms, now_ms):
        """When the next attempt may start; None: there is none. `began_ms`: when the first one did."""
        if attempt >= self.max_attempts or not error.retryable or error.code in self.non_retryable:
            return None
        interval_ms = self.initial_ms
        for _ in range(1, attempt):
            interval_ms = min(interval_ms * self.backoff, self.longest_ms)
        due_ms = now_ms + int(interval_ms * (1 - self.jitter * random.random()))
        return None if self.elapsed_ms is not None and due_ms - began_ms > self.elapsed_ms else due_ms


@dataclasses.dataclass(frozen=True)
class Step:
    id: str
    executor: str
    input: object  # a template
    depends_on: list  # places
    retry: Retry


class Definition:
    def __init__(self, tree):
        refuse_unknown(tree)
        places = {step["id"]: place for place, step in enumerate(tree["steps"])}
        self.workflow, self.version, self.output = tree["id"], tree["version"], tree.get("output")
        self.inputs = {name: what for name, what in tree.get("inputs", {}).items() if isinstance(what, dict) and "default" in what}
        self.steps = [
            Step(step["id"], step["executor"], step.get("with"), [places[d] for d in step.get("depends_on", [])], Retry(step.get("retry")))
            for step in tree["steps"]
        ]

    def input_of(self, text):
        """With the defaults of what was left out; the orchestrator has checked the rest. A null counts as left out, but for `any`."""
        given = json.loads(text) if text else {}
        for name, what in self.inputs.items():
            if name not in given or (given[name] is None and what["type"] != "any"):
                given[name] = what["default"]
        return given


def refuse_unknown(tree):
    unknown = sorted(set(tree) - KEYS) + unknown_expressions(tree.get("output"))
    for step in tree["steps"]:
        unknown += [f"{key} of step {step['id']}" for key in sorted(set(step) - STEP_KEYS)]
        unknown += unknown_expressions(step.get("with"))
        if step["executor"] not in EXECUTORS:
            unknown.append(f"executor {step['executor']}")
    if unknown:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "this engine does not know: " + ", ".join(unknown))


def read(text, digest):
    if hashlib.sha256(text).digest() != digest:
        raise Refusal(grpc.StatusCode.DATA_LOSS, "another definition came than was asked for")
    return Definition(json.loads(text))
