import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from polars.exceptions import PanicException

from tools import __main__ as door
from tools import cli
from tools.errors import MediaError, UserError


@pytest.fixture
def parser() -> cli.ArgumentParser:
    parser = cli.ArgumentParser("tools.example", "Does a thing.", "python -m tools.example meta_a.csv")
    parser.add_argument("meta")
    parser.add_argument("--num-workers", type=int)
    parser.add_argument("--text-column")
    return parser


@pytest.mark.parametrize("flag", [["--num_workers", "3"], ["--num-workers", "3"], ["--num_workers=3"]])
def test_flags_are_taken_with_dash_and_underscore(parser, flag):
    assert parser.parse_args(["my_meta.csv", *flag]).num_workers == 3


def test_values_keep_their_underscores(parser):
    args = parser.parse_args(["my_meta.csv", "--text_column=my_text"])
    assert (args.meta, args.text_column) == ("my_meta.csv", "my_text")


def test_bad_flags_are_one_line_and_exit_2(parser, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["m.csv", "--num-workers", "many"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--text-colum=x"], "--text-colum=x; did you mean --text-column? ("),
        (["--nun_workers", "3"], "--nun-workers 3; did you mean --num-workers? ("),
        (["--device", "cuda"], "--device cuda (see"),
    ],
)
def test_an_unknown_flag_names_the_one_that_is_meant(parser, capsys, given, meant):
    for parse in (parser.parse_args, parser.parse_intermixed_args):
        with pytest.raises(SystemExit):
            parse(["m.csv", *given])
        assert f"error: unrecognized arguments: {meant}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("meta.csv: no such table"), 2, "error: meta.csv: no such table\n"),
        (MediaError("empty", "a.mp4", "no bytes"), 2, "error: a.mp4: empty: no bytes\n"),
        (KeyError("x"), 1, "error: KeyError: 'x' (unexpected; TOOLS_DEBUG=1 shows where)\n"),
        (PanicException("at the disco\nnote: stack"), 1, "error: PanicException: at the disco (unexpected; "),
        (KeyboardInterrupt(), 130, "error: interrupted; run the same command again to go on\n"),
    ],
)
def test_errors_become_one_line_and_a_code(capsys, error, code, line):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        cli.run(main)
    said = capsys.readouterr().err
    assert stop.value.code == code
    assert said.startswith(line) and said.count("\n") == 1


def test_debug_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("TOOLS_DEBUG", "1")

    def main():
        raise UserError("wrong")

    with pytest.raises(SystemExit):
        cli.run(main)
    assert "Traceback" in capsys.readouterr().err


def test_the_code_of_main_is_the_exit_code():
    for returned, code in ((None, 0), (1, 1)):
        with pytest.raises(SystemExit) as stop:
            cli.run(lambda returned=returned: returned)
        assert stop.value.code == code


def test_media_errors_cross_process_borders():
    import pickle

    error = pickle.loads(pickle.dumps(MediaError("timeout", "a.mp4", "took\nlong")))
    assert (error.kind, error.path, error.message) == ("timeout", "a.mp4", "took long")


@pytest.mark.parametrize(
    ("module", "flag", "instead"),
    [
        ("tools.scene_cut.cut", "--drop_invalid_timestamps", "--on-error"),
        ("tools.scene_cut.scene_detect", "--transition_seconds", "--trim-transitions"),
    ],
)
def test_flags_of_open_sora_1_3_are_told_what_to_use(module, flag, instead, capsys):
    command = importlib.import_module(module)
    with pytest.raises(SystemExit, match="2"):
        command.main(["meta.csv", flag, "1"])
    dashed = flag.replace("_", "-")
    assert capsys.readouterr().err.startswith(f"error: there is no {dashed} here: use {instead}")
    assert instead in command.COMMAND.parser()._option_string_actions


TOOLS = Path(cli.__file__).parent
RUNNABLE = sorted(
    ".".join(file.relative_to(TOOLS.parent).with_suffix("").parts)
    for file in TOOLS.rglob("*.py")
    if "cli.run(main)" in file.read_text()
)
"""Every module that is a command."""


@pytest.mark.parametrize("module", RUNNABLE)
def test_every_command_tells_its_version(module, capsys):
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(module).main(["--version"])
    written = re.search(r'^__version__ = "(.+)"$', (TOOLS / "__init__.py").read_text(), re.MULTILINE)[1]
    assert capsys.readouterr().out == f"vidsieve {written}\n"


def test_the_door_tells_the_version_and_lists_every_command(capsys, monkeypatch):
    def told(*words):
        monkeypatch.setattr("sys.argv", ["vidsieve", *words])
        assert door._dispatch() == 0
        return capsys.readouterr().out

    assert told("--version") == cli.version() + "\n"
    listed = told()
    assert told("--help") == listed
    names = set(re.findall(r"= python -m (\S+)", listed))
    renamed = {"tools.caption.camera_motion.detect", "tools.caption.caption_gpt4"}  # under a second name
    assert names == {module.removesuffix(".__main__") for module in RUNNABLE} - renamed
    assert "tools.operators" in names


def test_what_was_typed_as_vidsieve_is_shown_so(tmp_path):
    def run(*words):
        ran = subprocess.run(
            [sys.executable, "-m", "tools", *words],
            cwd=TOOLS.parent,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ran.stdout + ran.stderr

    told = run("quality", "--help")
    assert "usage: vidsieve quality meta [flags]" in told and "\n  vidsieve quality meta.csv\n" in told
    assert "torchrun --nproc_per_node 8 --no-python vidsieve quality meta.csv --bs 512" in told
    assert "python -m" not in told
    assert run("ocr", "m.csv", "--threshold", "7").endswith("(see: vidsieve ocr --help)\n")
    (tmp_path / "m.csv").write_text("path\nx.png\n")
    assert "'vidsieve weights download " in run("aesthetic", str(tmp_path / "m.csv"), "--head", "none.pth")


def test_command_lines_are_parsed_without_polars_and_torch():
    """So ``--help`` is instant, and a command can fork workers before there are threads."""
    code = (
        "import importlib, sys\n"
        "from tools import cli\n"
        "from tools.commands import COMMANDS\n"
        "for command in COMMANDS:\n"
        "    if hasattr(module := importlib.import_module(command.module), 'main'):\n"
        "        try:\n"
        "            cli.parser_of(module.main).format_help()\n"
        "        except ValueError:\n"
        "            pass  # it has no flags\n"
        "    loaded = {'polars', 'torch'} & sys.modules.keys()\n"
        "    assert not loaded, (command.name, loaded)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(door.__file__).parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
