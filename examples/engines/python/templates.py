"""Templates: ${input.a.b}, ${steps["a-b"].output.list[1]}. Plain paths alone; the library's own engine knows Lua besides (docs/expressions.md)."""
import copy
import json
import re

from executors import StepError

EXPRESSION = r"""\$\{((?:[^{}"']|"[^"]*"|'[^']*')*)\}"""
WHOLE = re.compile(EXPRESSION)
PIECE = re.compile(r"(\$\$\{)|" + EXPRESSION)  # $${ is a literal ${
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
SEGMENT = re.compile(rf"""\.({NAME})|\["([^"\\\n]*)"\]|\['([^'\\\n]*)'\]|\[([0-9]{{1,18}})\]""")
PATH = re.compile(rf"({NAME})((?:{SEGMENT.pattern})*)")
ROOTS = {"input", "steps", "execution", "item", "index"}


def path_of(expression):
    """Its names, and its numbers for places in lists. None: it is no plain path."""
    match = PATH.fullmatch(expression.strip())
    if not match or match.group(1) not in ROOTS:
        return None
    path = [match.group(1)]
    for segment in SEGMENT.finditer(match.group(2)):
        dotted, double, single, number = segment.groups()
        path.append(int(number) if number else next(name for name in (dotted, double, single) if name is not None))
    return None if path[0] == "steps" and len(path) == 1 else path


def unknown_expressions(template):
    """What evaluate() could not evaluate."""
    if isinstance(template, dict):
        return [e for value in template.values() for e in unknown_expressions(value)]
    if isinstance(template, list):
        return [e for value in template for e in unknown_expressions(value)]
    if not isinstance(template, str):
        return []
    unknown = [m.group() for m in PIECE.finditer(template) if m.group(2) is not None and path_of(m.group(2)) is None]
    return unknown + ([template] if "${" in PIECE.sub("", template) else [])


def evaluate(template, scope):
    """A text that is one ${…} keeps the value's type. Keys of objects are no templates."""
    if isinstance(template, dict):
        return {key: evaluate(value, scope) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, scope) for value in template]
    if not isinstance(template, str):
        return template
    whole = WHOLE.fullmatch(template)
    if whole:
        return copy.deepcopy(look_up(whole.group(1), scope))  # an executor may change what it gets
    return PIECE.sub(lambda m: "${" if m.group(1) else as_text(look_up(m.group(2), scope)), template)


def as_text(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def look_up(expression, scope):
    """A missing member of an object, or a place past a list's end, is null."""
    value = scope
    for name in path_of(expression):
        if isinstance(name, str) and isinstance(value, dict):
            value = value.get(name)
        elif isinstance(name, int) and isinstance(value, list):
            value = value[name - 1] if 1 <= name <= len(value) else None
        else:
            what = f"member '{name}'" if isinstance(name, str) else f"element [{name}]"
            raise StepError("INVALID_ARGUMENT", f"`{expression}`: {type_name(value)} has no {what}", retryable=False)
    return value


def type_name(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {dict: "an object", list: "a list", str: "a string"}.get(type(value), "a number")
