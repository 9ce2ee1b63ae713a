"""What an orchestrator asks of engines, and what it has to come to, whatever breaks. Each scene has a Rig of its own."""
import json

from rig import expect, wait_until

FLAKY = {"id": "f", "executor": "flaky"}
SLOW = [
    {"id": "first", "executor": "echo", "with": 1},
    {"id": "second", "executor": "pause", "depends_on": ["first"], "with": {"seconds": 3}},
    {"id": "third", "executor": "echo", "depends_on": ["second"], "with": 3},
]
SLOW_ONES = [f"slow-{i}" for i in range(6)]
PATIENT = ("ATTACH_GRACE=60s",)  # nothing goes elsewhere for being slow to attach


def define_chain(rig):
    rig.define("chain", [
        {"id": "a", "executor": "double", "with": {"n": "${input.n}"}},
        {**FLAKY, "depends_on": ["a"], "with": {"v": "${steps.a.output}", "good_from": 3}, "retry": {"initial_interval": "10ms"}},
        {"id": "c", "executor": "echo", "depends_on": ["a"], "with": "n is ${steps.a.output}"},
        {"id": "d", "executor": "noop", "depends_on": ["f", "c"], "with": {"text": "${steps.c.output}", "v": "${steps.f.output.v}"}},
    ], output="${steps.d.output}")


def chain_of(n):
    return {"text": f"n is {2 * n}", "v": 2 * n}


def begin_chain(rig, n):
    expect("exit", rig.ctl("start", "chain", "--id", f"chain-{n}", "--input", json.dumps({"n": n}))[0], 0)


def expect_chains(rig, count):
    for n in range(count):
        row = rig.end(f"chain-{n}")
        expect(f"chain-{n}", (row["state"], json.loads(row["output"])), ("SUCCEEDED", chain_of(n)))


def values_pass(rig):
    define_chain(rig)
    for n in range(20):
        expect("chain", rig.run("chain", {"n": n}), (chain_of(n), ""))
    for n in range(40):
        begin_chain(rig, n)
    expect_chains(rig, 40)


def paths_find_what_is_meant(rig):
    given = {"list": [1, {"a": [True, "x"]}], "a-b": {"c.d": 1.5}, "nothing": None, "text": "t"}
    wanted = {
        "${input.list[2].a[1]}": True,
        """${input["a-b"]['c.d']}""": 1.5,
        "${ input.missing }": None,
        "${input.list[3]}": None,
        "<${input.nothing}${input.missing}>": "<>",
        "<${input.list} ${input.list[2].a[1]} ${input.text} ${input.list[1]}>": '<[1,{"a":[true,"x"]}] true t 1>',
        "$${input.text} $$${input.text}": "${input.text} $${input.text}",
        "${execution.workflow} ${execution.run}": "paths 1",
        "${steps.a.status} ${steps.a.error}": "succeeded ",
        "${input}": given,
    }
    rig.define("paths", [{"id": "a", "executor": "noop"}, {"id": "b", "executor": "echo", "depends_on": ["a"], "with": list(wanted)}],
               output="${steps.b.output}")
    expect("paths", rig.run("paths", given), (list(wanted.values()), ""))
    rig.define("wrong", [{"id": "a", "executor": "echo", "with": "${input.text.x}", "retry": {}}])
    _, error = rig.run("wrong", given)
    assert "a string has no member 'x'" in error, error


def defaults_fill_in(rig):
    rig.define("defaults", [{"id": "a", "executor": "echo", "with": "${input}"}], output="${steps.a.output}", inputs={
        "given": {"type": "integer", "default": 1}, "missing": {"type": "string", "default": "d"}, "null": {"type": "array", "default": [1]},
        "any": {"type": "any", "default": 1}, "optional": {"type": "string", "required": False}, "needed": "string"})
    expect("input", rig.run("defaults", {"given": 2, "null": None, "any": None, "needed": "n"}),
           ({"given": 2, "missing": "d", "null": [1], "any": None, "needed": "n"}, ""))


def failures_are_told(rig):
    rig.define("failing", [{**FLAKY, "with": {"good_from": 9}}])
    _, error = rig.run("failing")
    assert "attempt 1 of" in error, error
    rig.define("output", [{"id": "a", "executor": "echo", "with": 1}], output="${steps.a.output.x}")
    _, error = rig.run("output")
    assert "output: " in error and "a number has no member 'x'" in error, error


def what_is_not_known_is_refused(rig):
    rig.define("lua", [{"id": "a", "executor": "lua", "with": {"code": "return 1"}}])
    _, error = rig.run("lua")
    assert "executor lua" in error, error
    rig.define("expression", [{"id": "a", "executor": "echo", "with": "${input.n + 1}"}])
    _, error = rig.run("expression", {"n": 1})
    assert "input.n + 1" in error, error
    rig.define("when", [{"id": "a", "executor": "echo", "when": "input.n"}])
    _, error = rig.run("when", {"n": 1})
    assert "when of step a" in error, error


def large_inputs_pass(rig):
    rig.define("large", [{"id": "e", "executor": "echo", "with": "${input}"}], output="${steps.e.output.t}")
    path = rig.folder / "large.json"
    path.write_text(json.dumps({"t": "x" * 3_000_000}))
    code, out, error = rig.ctl("run", "large", "--input", f"@{path}")
    expect(error or "exit", code, 0)
    expect("length", len(json.loads(out)), 3_000_000)


# ---- Retries


def retries(rig, name, good_from, retry):
    """(interval, start of the next attempt after the time that was due) of each retry; the output or error."""
    rig.define(name, [{**FLAKY, "with": {"good_from": good_from}, "retry": {"initial_interval": "20ms", "jitter": 0, **retry}}])
    rig.begin(name, name)
    state = rig.end(name)["state"]
    rows = rig.history(name, "f", "retrying")
    ends = rows + rig.history(name, "f", "succeeded") + rig.history(name, "f", "failed")
    for row, after in zip(rows, ends[1:], strict=True):
        assert int(after["started_ms"]) >= int(row["due_ms"]), f"{name}: attempt {after['attempt']} started before it was due"
    return state, [int(row["due_ms"]) - int(row["ended_ms"]) for row in rows]


def retries_keep_their_policy(rig):
    expect("three attempts", retries(rig, "three", 3, {}), ("SUCCEEDED", [20, 40]))
    expect("and no fourth", retries(rig, "four", 4, {}), ("FAILED", [20, 40]))
    expect("max_interval", retries(rig, "short", 5, {"max_attempts": 5, "backoff": 100, "max_interval": "50ms"}), ("SUCCEEDED", [20, 50, 50, 50]))
    expect("non_retryable", retries(rig, "never", 2, {"non_retryable": ["UNAVAILABLE"]}), ("FAILED", []))
    expect("max_elapsed", retries(rig, "late", 9, {"initial_interval": "1d", "max_interval": "2d", "max_elapsed": "1h30m"}), ("FAILED", []))
    state, intervals = retries(rig, "random", 9, {"max_attempts": 9, "initial_interval": "100ms", "backoff": 1, "jitter": 0.5})
    expect("jitter", (state, len(set(intervals)) > 1, all(50 <= i <= 100 for i in intervals)), ("SUCCEEDED", True, True))


def a_retry_goes_on_beside_a_failure(rig):
    rig.define("both", [{"id": "bad", "executor": "flaky", "with": {"good_from": 2}},
                        {**FLAKY, "with": {"good_from": 2}, "retry": {"initial_interval": "500ms"}},
                        {"id": "after", "executor": "noop", "depends_on": ["f"]}])
    rig.begin("both", "both")
    expect("state", rig.end("both")["state"], "FAILED")
    expect("the other's end", len(rig.history("both", "f", "succeeded")), 1)
    expect("starts after the failure", rig.starts("both", "after"), 0)


def a_retry_waits_also_elsewhere(rig):
    rig.define("later", [{**FLAKY, "with": {"good_from": 2}, "retry": {"initial_interval": "4s", "jitter": 0}}])
    rig.begin("later", "later")
    retry = wait_until("the retry is stored", lambda: rig.history("later", "f", "retrying"))[0]
    first = rig.hand_overs("later")[0]
    next(engine for engine in rig.engines if engine.name == first).kill()
    expect("state", rig.end("later")["state"], "SUCCEEDED")
    assert len(set(rig.hand_overs("later"))) == 2, rig.hand_overs("later")
    end = rig.history("later", "f", "succeeded")[0]
    expect("attempt", end["attempt"], 2)
    assert int(end["started_ms"]) >= int(retry["due_ms"]), f"{end} started before {retry} was due"


# ---- Ends from outside


def cancels_reach_it(rig):
    rig.define("slow", SLOW)
    rig.begin("slow", "cancelled")
    wait_until("the second step runs", lambda: rig.starts("cancelled", "second"))
    expect("exit", rig.ctl("cancel", "cancelled")[0], 0)
    expect("state", rig.end("cancelled")["state"], "CANCELLED")
    expect("the step that was stopped", len(rig.history("cancelled", "second", "cancelled")), 1)


def a_deadline_ends_it(rig):
    rig.define("late", [{"id": "p", "executor": "pause", "with": {"seconds": 50}}], timeout="300ms")
    rig.begin("late", "late")
    expect("state", rig.end("late")["state"], "TIMED_OUT")
    assert "passed its deadline" in rig.ctl("show", "late", "-o", "json")[1]


def a_pause_holds_it(rig):
    rig.define("slow", SLOW)
    rig.begin("slow", "held")
    wait_until("the second step runs", lambda: rig.starts("held", "second"))
    expect("exit", rig.ctl("pause", "held")[0], 0)
    wait_until("what runs ends", lambda: rig.history("held", "second", "succeeded"))
    rig.run("hello")  # others go on
    expect("starts of the third", rig.starts("held", "third"), 0)
    expect("exit", rig.ctl("resume", "held")[0], 0)
    expect("state", rig.end("held")["state"], "SUCCEEDED")


# ---- What breaks


def begin_slow_ones(rig):
    """All of them are in the second of their three steps."""
    rig.define("slow", SLOW, output="${steps.third.output}")
    for one in SLOW_ONES:
        rig.begin("slow", one)
    for one in SLOW_ONES:
        wait_until(f"the second step of {one} runs", lambda one=one: rig.starts(one, "second"))


def a_broken_connection_is_attached_again(rig):
    begin_slow_ones(rig)
    for _ in range(3):
        before = [proxy.connections for proxy in rig.proxies]
        for proxy in rig.proxies:
            proxy.cut()
        for proxy, count in zip(rig.proxies, before):
            wait_until("it connects again", lambda proxy=proxy, count=count: proxy.connections > count)
    for one in SLOW_ONES:
        expect(one, rig.end(one)["state"], "SUCCEEDED")
        expect(f"hand-overs of {one}", len(rig.hand_overs(one)), 1)
        for step in ("first", "second", "third"):
            expect(f"ends of {step} of {one}", len(rig.history(one, step, "succeeded")), 1)
            assert rig.starts(one, step) <= 1, f"{step} of {one} was started again"


def breaks_at_any_moment_change_nothing(rig):
    define_chain(rig)
    for n in range(60):
        begin_chain(rig, n)
        if n % 4 == 3:
            for proxy in rig.proxies:
                proxy.cut()
    expect_chains(rig, 60)
    for n in range(60):
        expect(f"retries of chain-{n}", len(rig.history(f"chain-{n}", "f", "retrying")), 2)
        for step in "afcd":
            expect(f"ends of {step} of chain-{n}", len(rig.history(f"chain-{n}", step, "succeeded")), 1)


def a_killed_engine_is_replaced(rig):
    begin_slow_ones(rig)
    rig.engines[0].kill()
    for one in SLOW_ONES:
        expect(one, rig.end(one)["state"], "SUCCEEDED")
        expect(f"starts of what was stored, of {one}", rig.starts(one, "first"), 1)


def a_killed_orchestrator_comes_back(rig):
    begin_slow_ones(rig)
    rig.kill_server()
    rig.start_server()
    for one in SLOW_ONES:
        expect(one, rig.end(one)["state"], "SUCCEEDED")
        expect(f"starts of what was stored, of {one}", rig.starts(one, "first"), 1)
        for step in ("first", "second", "third"):
            expect(f"ends of {step} of {one}", len(rig.history(one, step, "succeeded")), 1)


def what_runs_ends_when_it_drains(rig):
    begin_slow_ones(rig)
    gone = [one for one in SLOW_ONES if rig.hand_overs(one) == ["e0"]]
    assert gone, "no execution is on e0"
    rig.engines[0].terminate()
    expect("exit", rig.engines[0].wait(), 0)
    for one in SLOW_ONES:
        expect(one, rig.end(one)["state"], "SUCCEEDED")
        expect(f"starts of second of {one}", rig.starts(one, "second"), 1)
        expect(f"breaks of {one}", rig.events(one, "execution_detached"), [])
    for one in gone:
        expect(f"the last engine of {one}", rig.hand_overs(one)[-1], "e1")


# (scene, settings of the orchestrator)
SCENES = [
    (values_pass, ()),
    (paths_find_what_is_meant, ()),
    (defaults_fill_in, ()),
    (failures_are_told, ()),
    (what_is_not_known_is_refused, ()),
    (large_inputs_pass, ()),
    (retries_keep_their_policy, ()),
    (a_retry_goes_on_beside_a_failure, ()),
    (a_retry_waits_also_elsewhere, ("ATTACH_GRACE=500ms",)),
    (cancels_reach_it, ()),
    (a_deadline_ends_it, ()),
    (a_pause_holds_it, ()),
    (a_broken_connection_is_attached_again, PATIENT),
    (breaks_at_any_moment_change_nothing, ()),
    (a_killed_engine_is_replaced, ("ATTACH_GRACE=1s",)),
    (a_killed_orchestrator_comes_back, ()),
    (what_runs_ends_when_it_drains, PATIENT),
]
