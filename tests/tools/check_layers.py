#!/usr/bin/env python3
"""Reads the #includes of lib/ and include/ and says which file broke which rule of the house.

1. A file includes headers of its own floor and of floors below it.
2. Public headers include only public headers (and the system's).
3. A header named *_impl.h is included only from within its own folder.
4. No circle: neither of headers, nor of the folders of one floor. A folder's .c files may include the
   headers of the folders inside it, as the file that lists a port's adapters does.

Run at the top of the tree; prints each breach as file:line: what; exits with 1 if there was one.
"""
import re
import sys
from pathlib import Path

FLOORS = ["base", "workflow", "net", "grpc", "store", "transport", "discovery", "balancer", "executor", "monitor",
          "engine", "orchestrator", "runtime", "trigger", "api", "service"]  # from the ground up

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def resolve(source, name):
    """The file of this tree that an include means, or None for the system's."""
    for folder in (source.parent, Path("lib"), Path("include")):
        path = folder / name
        if path.is_file():
            # Normalised by hand: resolve() would make it absolute and follow links.
            parts = []
            for part in path.parts:
                if part == "..":
                    parts.pop()
                elif part != ".":
                    parts.append(part)
            return Path(*parts)
    return None


def read_includes(files):
    """All (source, line number, included file) within the tree."""
    found = []
    for source in files:
        for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                target = resolve(source, match.group(1))
                if target:
                    found.append((source, number, target))
    return found


def floor_of(path):
    return path.parts[1]


def check_floors(includes):
    for source, line, target in includes:
        if target.parts[0] == "include":
            continue
        if source.parts[0] == "include":
            yield f"{source}:{line}: a public header includes {target}, which no host has"
            continue
        own, other = floor_of(source), floor_of(target)
        if own in FLOORS and other in FLOORS and FLOORS.index(other) > FLOORS.index(own):
            yield f"{source}:{line}: the floor {own} includes {target}, and {other} lies above it"


def check_known(files):
    for path in files:
        if path.parts[0] == "lib" and (len(path.parts) < 3 or floor_of(path) not in FLOORS):
            yield f"{path}:1: in none of the floors {' '.join(FLOORS)}"


def check_impl(includes):
    for source, line, target in includes:
        if target.name.endswith("_impl.h") and source.parent != target.parent:
            yield f"{source}:{line}: {target} is for the files of {target.parent} alone"


def find_circles(edges):
    """One circle of each knot of the graph {node: {node: reason}}, as a list of nodes; forward search."""
    done, circles = set(), []
    for start in sorted(edges):
        if start in done:
            continue
        path, on_path, stack = [], set(), [(start, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                done.add(node)
                continue
            if node in on_path:
                circles.append(path[path.index(node):] + [node])
                continue
            if node in done:
                continue
            path.append(node)
            on_path.add(node)
            stack.append((node, True))
            stack.extend((n, False) for n in sorted(edges.get(node, {}), reverse=True))
    return circles


def header_edges(includes):
    edges = {}
    for source, line, target in includes:
        if source.suffix == ".h":
            edges.setdefault(source, {}).setdefault(target, f"{source}:{line}")
    return edges


def folder_edges(includes):
    edges = {}
    for source, line, target in includes:
        if source.parts[0] != "lib" or target.parts[0] != "lib" or floor_of(source) != floor_of(target):
            continue
        inner = source.parent in target.parents
        if source.parent != target.parent and not (inner and source.suffix == ".c"):
            edges.setdefault(source.parent, {}).setdefault(target.parent, f"{source}:{line}")
    return edges


def check_circles(edges, what):
    for circle in find_circles(edges):
        where = edges[circle[0]][circle[1]]
        steps = "; ".join(f"{a} -> {b} at {edges[a][b]}" for a, b in zip(circle, circle[1:]))
        yield f"{where}: a circle of {what}: {steps}"


def main():
    files = sorted(p for top in ("lib", "include") for p in Path(top).rglob("*") if p.suffix in (".c", ".h"))
    includes = read_includes(files)
    breaches = [*check_known(files), *check_floors(includes), *check_impl(includes),
                *check_circles(header_edges(includes), "headers"), *check_circles(folder_edges(includes), "folders")]
    for breach in breaches:
        print(breach, file=sys.stderr)
    if breaches:
        sys.exit(1)
    print(f"check-layers: {len(files)} files, {len(includes)} includes, every one downwards")


if __name__ == "__main__":
    main()
