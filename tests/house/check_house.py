"""Rules that no other tool holds: sizes, class names, first words of docstrings. `make check` runs it on src."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, FUNCTION_LINES, FOLDER_FILES = 320, 60, 17
LEANING = re.compile(r"(Of|The same)\b")
"""A docstring that begins so leans on the line above it."""

Modules = dict[Path, ast.Module]


def find_faults(root: Path) -> list[str]:
    """All faults of the package below a folder, one line each."""
    modules = {path: ast.parse(path.read_text()) for path in sorted(root.rglob("*.py"))}
    rules = (check_files, check_functions, check_folders, check_class_names, check_docstrings)
    return [fault for rule in rules for fault in rule(modules)]


def check_files(modules: Modules) -> Iterator[str]:
    for path in modules:
        if (lines := path.read_text().count("\n")) > FILE_LINES:
            yield f"{path}: {lines} lines, at most {FILE_LINES}"


def check_functions(modules: Modules) -> Iterator[str]:
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield f"{path}:{node.lineno} {node.name}: {length} lines, at most {FUNCTION_LINES}"


def check_folders(modules: Modules) -> Iterator[str]:
    for folder in sorted({path.parent for path in modules}):
        if (count := sum(path.parent == folder for path in modules)) > FOLDER_FILES:
            yield f"{folder}: {count} files, at most {FOLDER_FILES}"


def check_class_names(modules: Modules) -> Iterator[str]:
    """One name means one thing: no class or type of one package is called as one of another."""
    homes = defaultdict(set)
    for path, tree in modules.items():
        if path.parent.name == "cli":  # its types are options, which are called as what they set
            continue
        for name in find_types(tree):
            homes[name].add(path.parent)
    for name, folders in homes.items():
        if len(folders) > 1:
            yield f"class {name}: in {', '.join(map(str, sorted(folders)))}, expected one package"


def find_types(tree: ast.Module) -> Iterator[str]:
    """Public classes of a module, and aliases of types, whose names are written as those of classes."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        names = [node.name] if isinstance(node, ast.ClassDef) else [t.id for t in targets if isinstance(t, ast.Name)]
        yield from (name for name in names if re.fullmatch(r"[A-Z]+[a-z]\w*", name))


def check_docstrings(modules: Modules) -> Iterator[str]:
    for path, tree in modules.items():
        for line, text in find_docstrings(tree):
            if match := LEANING.match(text):
                yield f"{path}:{line}: a docstring that begins with {match.group()!r}; name the thing itself"


def find_docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring, those that stand below an attribute or a constant too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.lstrip()


if __name__ == "__main__":
    sys.exit("\n".join(find_faults(Path("src"))) or 0)
