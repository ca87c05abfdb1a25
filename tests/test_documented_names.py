"""Names that README and docs show keep working: commands, flags, import paths, columns, suffixes, scripts.

``tests/documented_names.txt`` pins them, one a line, with a first word that says what it is. What the pages
show today must be in the list, and what is in the list must work, also when no page shows it any more. After
new names were documented, ``python tests/test_documented_names.py`` adds them; it removes none.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tools.columns import COLUMNS  # noqa: E402
from tools.datasets.operations import OPERATIONS  # noqa: E402
from tools.scoring.scorers import SCORERS  # noqa: E402

PINNED = ROOT / "tests" / "documented_names.txt"
GENERATED = [ROOT / "docs" / "commands", ROOT / "docs" / "trainers"]  # what the code says itself
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent not in GENERATED),
]

NOT_OURS = {"tools.scoring.redness", "tools.vq_module"}
"""Modules that pages show and the toolkit does not have: a reader is to write them."""

OTHER_PROGRAMS = {
    "--SCOREmin": "a pattern of flags",
    "--SCOREmax": "a pattern of flags",
    "--SCORE.FLAG": "a pattern of flags",
    "--rednessmin": "the example of a scorer",
    "--rednessmax": "the example of a scorer",
    "--strength": "the example of a scorer",
    "--no-python": "torchrun",
    "--nproc_per_node": "torchrun",
    "--nnodes": "torchrun",
    "--node_rank": "torchrun",
    "--master_addr": "torchrun",
    "--master_port": "torchrun",
    "--standalone": "torchrun",
    "--rdzv_backend": "torchrun",
    "--rdzv_endpoint": "torchrun",
    "--rdzv_id": "torchrun",
    "--kills": "scripts/crash_test.py",
    "--only": "scripts/crash_test.py",
    "--torchrun": "scripts/crash_test.py",
    "--fork": "scripts/crash_test.py",
    "--nodes": "srun",
    "--ntasks-per-node": "srun",
    "--neighbors": "embedding-atlas",
    "--image": "embedding-atlas",
    "--resolution-buckets": "the LTX-2 trainer",
    "--no-deps": "pip",
    "--only-binary": "pip",
    "--score": "benchmarks/where.py",
    "--head": "ray start",
    "--port": "ray start",
    "--address": "ray start",
    "--served-model-name": "vllm serve",
}
"""Flags on the pages that no command of the toolkit has to take, and whose they are."""


class _Captured(Exception):
    """The parser that a command was about to parse its command line with."""


@functools.cache
def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser of ``python -m module``, caught when its ``main`` begins to parse."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"python -m {module}: no such module"
    if spec.submodule_search_locations is not None:
        module += ".__main__"
    main = importlib.import_module(module).main

    def catch(self: argparse.ArgumentParser, *args: object, **options: object) -> None:
        raise _Captured(self)

    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        for method in ("parse_args", "parse_known_args"):
            patched.setattr(argparse.ArgumentParser, method, catch)
            patched.setattr("tools.cli.ArgumentParser." + method, catch)
        try:
            main(["--help"])
        except _Captured as caught:
            return caught.args[0]
    raise AssertionError(f"python -m {module} parses no command line")


def flags_of(module: str) -> set[str]:
    """All flags of a command, those of its subcommands included, with dashes."""
    found: set[str] = set()
    waiting = [parser_of(module)]
    while waiting:
        parser = waiting.pop()
        found |= set(parser._option_string_actions)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
    return found


def takes(module: str, flag: str) -> bool:
    """Whether a command takes a flag: written with dashes or underscores, or as ``--SCORE.FLAG``."""
    score, dot, own = flag.removeprefix("--").partition(".")
    if dot:
        return module == "tools.scoring" and score in SCORERS and takes(SCORERS[score].module, f"--{own}")
    return flag.replace("_", "-") in flags_of(module)


def refused(module: str, flag: str) -> bool:
    """Whether a command tells the user of this flag what to type instead."""
    return flag.replace("_", "-") in getattr(parser_of(module), "_refused", {})


def import_name(dotted: str) -> object:
    """What a dotted name is: a module, or a name in one, at any depth."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        try:
            found: object = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and name.startswith(error.name):
                continue
            raise
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


_MODULE = r"(tools(?:\.[A-Za-z_][A-Za-z_0-9]*)+)"
_FLAG = re.compile(r"(?<![\w<-])--[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]")


def collect(page: Path) -> set[str]:
    """What a page shows, as lines of the list."""
    text = page.read_text().replace("\\\n", " ")
    text = re.sub(r".*\bbenchmarks/\w+\.py\b.*", "", text)  # which are not of the package
    is_ours = lambda name: not name.startswith(tuple(NOT_OURS))  # noqa: E731
    commands = {name for name in re.findall(rf"-m {_MODULE}", text) if is_ours(name)}
    if page.name == "README.md":
        commands |= set(re.findall(rf"^\| `{_MODULE}", text, re.MULTILINE))
    found = {f"command {name}" for name in commands}
    for line in text.splitlines():
        command = re.search(rf"-m {_MODULE}(.*)", line)
        if command and is_ours(command[1]):
            typed = command[2].split("  # ")[0].split("`")[0]
            flags = {flag for flag in _FLAG.findall(typed) if takes(command[1], flag)}
            found |= {f"flag {command[1]} {flag.replace('_', '-')}" for flag in flags}
    candidates = commands or {name.split()[1] for name in _everywhere()}
    for flag in set(_FLAG.findall(text)) - OTHER_PROGRAMS.keys():
        takers = [name for name in candidates if takes(name, flag)]
        if not takers:
            takers = [name.split()[1] for name in _everywhere() if takes(name.split()[1], flag)]
        found |= {f"flag {name} {flag.replace('_', '-')}" for name in takers}
        if not takers and not any(refused(name.split()[1], flag) for name in _everywhere()):
            found.add(f"flag nobody {flag}")
    for module, names in re.findall(rf"^\s*from {_MODULE} import ([\w, ]+)", text, re.MULTILINE):
        if is_ours(module):
            found |= {f"import {module}.{name.split()[0]}" for name in names.split(",") if name.strip()}
    found |= {f"import {name}" for name in re.findall(rf"`{_MODULE}`", text) if is_ours(name)}
    words = set(re.findall(r"[a-z][a-z0-9_]*", " ".join(re.findall(r"`([a-z0-9_ …,]+)`", text))))
    found |= {f"column {name}" for name in words & COLUMNS.keys()}
    found |= {f"suffix {name}" for name in re.findall(r"`(_[A-Za-z][A-Za-z0-9_-]*)`", text)} - _EXAMPLES
    found |= {f"script {name}" for name in re.findall(r"(?<!/)\bscripts/\w+\.(?:sh|py)\b", text)}
    return found


_EXAMPLES = {f"suffix _{name}" for name in ("a_b", "V", "KEY", "SCOREminV", "SCOREmaxV", "redness")}
"""Suffixes that are made of what the user typed, and shown as a pattern; that of the scorer to be added."""


@functools.cache
def _everywhere() -> frozenset[str]:
    """Every command that a page shows."""
    text = "\n".join(page.read_text() for page in PAGES)
    names = {*re.findall(rf"-m {_MODULE}", text), *re.findall(rf"^\| `{_MODULE}", text, re.MULTILINE)}
    return frozenset(f"command {name}" for name in names if not name.startswith(tuple(NOT_OURS)))


@functools.cache
def pinned(kind: str) -> tuple[str, ...]:
    """The pinned names of a kind."""
    lines = PINNED.read_text().splitlines()
    return tuple(line.partition(" ")[2] for line in lines if line.startswith(f"{kind} "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_in_the_list(page):
    missing = collect(page) - set(PINNED.read_text().splitlines())
    strangers = {line for line in missing if line.startswith("flag nobody")}
    assert not strangers, "no command has these flags"
    assert not missing, "python tests/test_documented_names.py adds them to the list"


def test_the_list_is_of_some_size():
    for kind, least in {"command": 25, "flag": 300, "import": 50, "column": 70, "suffix": 50}.items():
        assert len(pinned(kind)) >= least, kind


@pytest.mark.parametrize("module", pinned("command"))
def test_a_documented_command_answers_help(module, capsys):
    parser_of(module)  # a module that is there, with a main that parses
    name = module
    if importlib.util.find_spec(module).submodule_search_locations is not None:
        name = f"{module}.__main__"
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(name).main(["--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m {module}")


def test_documented_flags_are_taken():
    assert [line for line in pinned("flag") if not takes(*line.split())] == []


@pytest.mark.parametrize("name", pinned("import"))
def test_a_documented_import_path_leads_somewhere(name):
    if name.startswith(("tools.stage.daft", "tools.operators.daft")):
        pytest.importorskip("daft")
    import_name(name)


def test_documented_columns_are_of_the_vocabulary():
    assert [name for name in pinned("column") if name not in COLUMNS] == []


def test_documented_suffixes_are_what_outputs_get():
    """Of datautil's operations the suffix itself; of the other commands the text as it stands in the code."""
    made = {operation.suffix_for("V") for operation in OPERATIONS.values()}
    code = "\n".join(file.read_text() for file in (ROOT / "tools").rglob("*.py"))
    written = lambda name: f'"{name}' in code or f'"{name[1:]}"' in code  # noqa: E731
    assert [name for name in pinned("suffix") if name not in made and not written(name)] == []


def test_documented_scripts_are_there():
    assert [name for name in pinned("script") if not (ROOT / name).is_file()] == []


def test_side_files_have_their_documented_names():
    from tools.stage.shards import STATE_FOLDER
    from tools.table import failures_path, output_path, part_path

    assert output_path("a/meta.csv", "_aes") == Path("a/meta_aes.csv")
    assert part_path(Path("a/meta_aes.csv"), 3) == Path("a/meta_aes_part3.csv")
    assert failures_path(Path("a/meta_aes.csv")) == Path("a/meta_aes.failures.csv")
    assert failures_path(Path("meta_aes.csv"), 3) == Path("meta_aes.failures_part3.csv")
    assert STATE_FOLDER == ".vidsieve"


def test_what_is_not_there_is_noticed(tmp_path):
    assert not takes("tools.scene_cut.cut", "--save_folder")
    assert takes("tools.scoring", "--flow.split_camera") and not takes("tools.scoring", "--flow.cut")
    assert refused("tools.datasets.datautil", "--unescape")
    with pytest.raises(AttributeError):
        import_name("tools.table.no_such_name")
    page = tmp_path / "page.md"
    page.write_text("python -m tools.scene_cut.cut meta.csv --crf 20 --save_folder clips\n")
    assert collect(page) == {
        "command tools.scene_cut.cut",
        "flag nobody --save_folder",
        "flag tools.scene_cut.cut --crf",
    }


def update() -> None:
    """Add what the pages show to the list."""
    known = PINNED.read_text().splitlines() if PINNED.exists() else []
    found = {line for page in PAGES for line in collect(page)}
    PINNED.write_text("\n".join(sorted({*known, *found} - {""})) + "\n")


if __name__ == "__main__":
    update()
