"""Fails where a source file or a function has grown too long to be read at once."""

import ast
import sys
from pathlib import Path

FILE_LINES, FUNCTION_LINES = 320, 60

faults = []
for path in sorted(Path("src").rglob("*.py")):
    text = path.read_text()
    if (lines := text.count("\n")) > FILE_LINES:
        faults.append(f"{path}: {lines} lines, at most {FILE_LINES}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                faults.append(f"{path}:{node.lineno} {node.name}: {length} lines, at most {FUNCTION_LINES}")
sys.exit("\n".join(faults) or 0)
