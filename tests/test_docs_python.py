"""The Python that the documents show: each call fits what it calls; what needs no weights is run."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support import make_video

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCKS = {
    f"{page.relative_to(ROOT).with_suffix('').as_posix().removeprefix('docs/')}-{number}": code
    for page in [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
}


def imported_names(tree: ast.Module) -> dict[str, object]:
    """What a block imports from the toolkit; the test is skipped where a package of an extra is missing."""
    found: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node.names[0].name == "vidsieve":
            found["vidsieve"] = importlib.import_module("vidsieve")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("tools", "vidsieve")):
            try:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    member = getattr(module, alias.name, None)
                    found[alias.asname or alias.name] = member or importlib.import_module(name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("tools"):
                    raise
                pytest.skip(f"the block needs {error.name}")
    return found


def what_is_called(node: ast.expr, names: dict[str, object]) -> object | None:
    """The function or class that an expression names; None when it does not come from the toolkit."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = what_is_called(node.value, names)
        return getattr(owner, node.attr) if owner is not None else None
    return None


def check_calls(code: str) -> int:
    """How many calls of a block were compared with what they call; an error where one does not fit."""
    tree = ast.parse(code)
    names = imported_names(tree)
    checked = 0
    for statement in tree.body:
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call):
                continue
            called = what_is_called(node.func, names)
            if called is None or any(isinstance(arg, ast.Starred) for arg in node.args):
                continue
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            # A method of an object, known by its class alone, has `self` before its arguments.
            of_object = isinstance(node.func, ast.Attribute) and inspect.isfunction(called)
            self = [None] * (of_object and not inspect.ismodule(what_is_called(node.func.value, names)))
            inspect.signature(called).bind(*self, *(None for _ in node.args), **keywords)
            checked += 1
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            made = what_is_called(statement.value.func, names)
            if inspect.isclass(made) and isinstance(statement.targets[0], ast.Name):
                names[statement.targets[0].id] = made
    return checked


@pytest.mark.parametrize("block", BLOCKS)
def test_calls_fit_what_they_call(block):
    shows_ours = re.search(r"from (tools|vidsieve)|import vidsieve", BLOCKS[block])
    assert check_calls(BLOCKS[block]) or not shows_ours


def test_a_call_that_does_not_fit_is_noticed():
    code = "from tools.scoring.ocr.scorer import OcrScorer\nscorer = OcrScorer({})\nscorer.{}\n"
    assert check_calls(code.format("device='cpu'", "score([], text=True)")) == 2
    for arguments, method in (("gpu=1", "score([])"), ("", "score([], words=True)"), ("", "score()")):
        with pytest.raises(TypeError):
            check_calls(code.format(arguments, method))
    with pytest.raises(AttributeError):
        check_calls(code.format("", "scores([])"))


def run(block: str, **names: object) -> dict[str, object]:
    """Run a block with some names given; the value of its last expression is ``_``."""
    tree = ast.parse(BLOCKS[block])
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.copy_location(
            ast.Assign(targets=[ast.Name("_", ast.Store())], value=last.value), last
        )
    exec(compile(ast.fix_missing_locations(tree), block, "exec"), names)
    return names


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_video_is_cut(folder):
    make_video(folder / "film.mp4", num_frames=40)
    path, start_frame, failures = run("cutting-0")["_"]
    assert Path(path).is_file()
    assert start_frame == 0 and not failures


def test_rows_are_chosen_by_a_condition(folder):
    rows = {"path": ["a.mp4", "b.mp4", "c.mp4"], "aes": [5.5, 4.5, 6.0], "text": ["a", "b", None]}
    pl.DataFrame(rows).write_csv("meta.csv")
    good = run("where-0")["good"]
    assert good.collect()["path"].to_list() == ["a.mp4"]


def test_tables_are_filtered(folder, monkeypatch):
    monkeypatch.setattr("tools.media.workers.pool.usable_cores", lambda: 0)
    make_video(folder / "a.mp4", num_frames=5)
    pl.DataFrame({"path": ["a.mp4", "missing.mp4"]}).write_csv("meta.csv")
    scores = {"aes": [5.5, 4.5, 6.0], "flow": [3.0, 3.0, 20.0], "cmotion": ["pan_left", "pan_left", "static"]}
    found = run("datautil-0", frame=pl.DataFrame({"path": ["a", "b", "c"], **scores}))
    assert found["good"]["path"].to_list() == ["a"]
    assert found["even"]["path"].to_list() == ["a", "b", "c"]  # 1000 rows are more than there are
    assert pl.read_csv("meta_info_fmin1.csv")["num_frames"].to_list() == [5]


def test_a_table_is_summarised(folder, capsys):
    rows = {"path": ["a.mp4", "b.mp4"], "aes": [5.0, 6.0], "cmotion": ["static", "pan_left"]}
    pl.DataFrame({**rows, "num_frames": [25, 25], "fps": [25.0, 25.0]}).write_csv("meta_aes.csv")
    run("analyze-0")
    assert "5.5" in capsys.readouterr().out  # the median of 5 and 6


def test_a_caption_is_checked():
    (block,) = (name for name in BLOCKS if name.startswith("captions-"))
    assert run(block)["_"] == ["camera"]


def test_text_is_found():
    pytest.importorskip("rapidocr", reason="the block needs rapidocr")
    black = np.zeros((128, 192, 3), np.uint8)
    assert run("ocr-0", images=[black], image=black)["found"].area == 0
