"""The page on troubleshooting names what the code can say, and nothing else."""

import ast
import functools
import os
import re
from pathlib import Path

import pytest

from tools.errors import FAILURE_KINDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()


def first_cells(heading: str) -> list[str]:
    """What stands in the first column of the table of a section, without its backquotes."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@functools.cache
def nodes() -> list[ast.AST]:
    """Everything in the code."""
    files = [*ROOT.glob("*.py"), *(ROOT / "tools").rglob("*.py")]
    return [node for file in files for node in ast.walk(ast.parse(file.read_text()))]


def texts_of_the_code() -> str:
    """Every text in the code, those that are joined or formatted as one."""
    found = []
    for node in nodes():
        if isinstance(node, ast.JoinedStr):
            found.append("".join(p.value if isinstance(p, ast.Constant) else "…" for p in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return "\n".join(found)


def test_each_kind_of_failure_is_explained_and_no_other():
    assert first_cells("Failures of rows") == list(FAILURE_KINDS)


def test_the_code_fails_with_no_other_kind():
    """A kind is the first argument of MediaError; one in a variable is checked when it runs."""
    calls = [node for node in nodes() if isinstance(node, ast.Call)]
    first = [call.args[0] for call in calls if getattr(call.func, "id", "") == "MediaError"]
    written = {kind.value for kind in first if isinstance(kind, ast.Constant)}
    assert len(written) > 15
    assert written <= FAILURE_KINDS.keys()


@pytest.fixture(scope="module")
def code() -> str:
    return texts_of_the_code() + "\n" + os.strerror(28) + "\n" + "unrecognized arguments"  # argparse's own


@pytest.mark.parametrize("message", first_cells("Errors"))
def test_each_message_is_one_of_the_code(message, code):
    assert message in code
