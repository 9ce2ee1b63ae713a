#!/usr/bin/env python3
"""Does docs/workflow.schema.json agree with the parser?

Over the samples that the parser's tests read: the good definitions must be valid, and of the bad ones those that
are not marked `schema: silent` must be invalid. The validator is python3-jsonschema, which knows nothing of ours."""
import glob
import json
import os
import re
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    sys.exit("check_schema: python3-jsonschema is missing (Debian: python3-jsonschema)")

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SCHEMA = os.path.join(ROOT, "docs", "workflow.schema.json")
GOOD = os.path.join(ROOT, "tests", "data", "definitions", "*.json")
BAD = os.path.join(ROOT, "tests", "data", "bad_definitions.txt")
CASE = re.compile(r"^== (.*)\n((?:[a-z]+: .*\n)*)---( steps)?\n((?:.+\n)+)", re.M)


def bad_cases():
    """(name, silent, text) of each; the format is told in the file."""
    with open(BAD, encoding="utf-8") as f:
        text = f.read()
    cases = CASE.findall(text)
    if len(cases) != len(re.findall(r"^== ", text, re.M)):
        sys.exit(f"check_schema: {BAD}: a case is not in the file's format")
    for name, keys, steps, document in cases:
        if steps:
            document = '{"id":"w","version":"1.0.0","steps":[' + document + "]}"
        yield name, "schema: silent\n" in keys, document


def main():
    with open(SCHEMA, encoding="utf-8") as f:
        schema = json.load(f)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    wrong = []
    good = sorted(glob.glob(GOOD))
    for name in good:
        with open(name, encoding="utf-8") as f:
            for e in validator.iter_errors(json.load(f)):
                wrong.append(f"{os.path.basename(name)}: refused: {e.json_path}: {e.message[:200]}")
    refused = silent = 0
    for name, is_silent, text in bad_cases():
        if is_silent:
            silent += 1
        elif validator.is_valid(json.loads(text)):
            wrong.append(f"bad definition '{name}': the schema lets it pass")
        else:
            refused += 1
    if not good or not refused:
        wrong.append("no samples found")
    for w in wrong:
        print("check_schema:", w, file=sys.stderr)
    print(f"check_schema: {len(good)} good definitions valid, {refused} bad ones refused, "
          f"{silent} that only the parser can tell")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
