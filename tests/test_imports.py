"""What scripts and benchmarks import is there: nothing else runs most of them. Folders are packages."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*.py")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_names_that_a_script_imports_are_there(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("tools", "vidsieve"):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing, (node.module, missing)


def test_every_folder_of_code_is_a_package():
    """Of others lint-imports does not see what they import."""
    folders = {file.parent for file in (ROOT / "tools").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
