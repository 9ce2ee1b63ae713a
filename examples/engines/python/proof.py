"""Proof that a hand-over still stands, without which no step starts: "Proof" in engine.proto."""
import time

PROOF_S = 2
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Proof:
    def __init__(self):
        self.number = 0  # of the last question
        self.asked_s = None  # when that went; None: it is answered
        self.told = None  # (seq, when it went): a checkpoint that is not acknowledged
        self.until_s = 0

    def begin(self):
        """A call came: what was proven on another counts no more. The number for Accepted."""
        self.told, self.until_s = None, 0
        return self.ask()

    def ask(self):
        self.number, self.asked_s = self.number + 1, time.clock_gettime(CLOCK)
        return self.number

    def is_asked_for(self):
        return self.asked_s is not None

    def holds(self):
        return time.clock_gettime(CLOCK) < self.until_s

    def on_confirmation(self, number):
        if self.asked_s is not None and number == self.number:
            self.extend(self.asked_s)
            self.asked_s = None

    def on_told(self, seq):
        """For the first time: what goes again may have been acknowledged before."""
        if self.told is None:
            self.told = (seq, time.clock_gettime(CLOCK))

    def on_stored(self, seq):
        if self.told is not None and seq >= self.told[0]:
            self.extend(self.told[1])
            self.told = None

    def extend(self, since_s):
        self.until_s = max(self.until_s, since_s + PROOF_S)
