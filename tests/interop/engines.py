#!/usr/bin/env python3
"""Tests engines in other languages (examples/engines): an orchestrator runs workflows on them (engine_tests/scenes.py), and they are spoken to in
the protocol's own words (engine_tests/protocol.py).

    engines.py [--only SCENE] BUILD INTEROP LANGUAGE…    BUILD has examples/orch-server and orchctl; INTEROP what build.sh made

It is to be run by INTEROP/python/venv/bin/python, which has gRPC.
"""
import argparse
import contextlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# How an engine is started: {interop}/engine_LANGUAGE is where build.sh made it. All have the same flags.
COMMANDS = {
    "go": ["{interop}/engine_go/engine"],
    "python": ["env", "PYTHONPATH={interop}/engine_python", "PYTHONDONTWRITEBYTECODE=1", "{interop}/python/venv/bin/python",
               f"{ROOT}/examples/engines/python/engine.py"],
}


def timed(scene, run):
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        run(stack)
    print(f"  ok   {scene.__name__:40} {time.monotonic() - begun:7.3f} s", flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("build", type=Path)
    parser.add_argument("interop", type=Path)
    parser.add_argument("languages", nargs="+", choices=COMMANDS)
    return parser.parse_args()


def main():
    given = arguments()
    interop = given.interop.resolve()
    sys.dont_write_bytecode = True
    sys.path += [str(ROOT / "tests/interop/engine_tests"), str(interop / "engine_python")]
    import protocol
    import rig
    import scenes

    for language in given.languages:
        print(f"{language}:", flush=True)
        command = [word.format(interop=interop) for word in COMMANDS[language]]
        for scene, settings in scenes.SCENES:
            if given.only in scene.__name__:
                timed(scene, lambda stack: scene(rig.Rig(stack, given.build, command, settings=settings)))
        for scene in protocol.SCENES:
            if given.only in scene.__name__:
                timed(scene, lambda stack: scene(stack, command))


if __name__ == "__main__":
    main()
