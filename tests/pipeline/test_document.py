"""Files of pipelines: what is read of them, and which mistakes are told with the name that was meant."""

import pytest

from tools.errors import UserError
from tools.pipeline.document import read_document

WRITTEN = """
[variables]
videos = "my videos"
out = "out"
meta = "${out}/meta"
least = 48

[pipeline]
tables = "${meta}"
format = "parquet"

[[step]]
name = "find"
run = "convert video ${videos}"

[[step]]
name = "scores"
run = "scoring"
input = ["find", "other.csv"]
output = "${meta}/all.parquet"
ranks = 2
needs = "rapidocr"

[step.options]
scores = ["flow", "ocr"]
flow.method = "dis"
bs = 16
strict = true
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "chain.toml"
    path.write_text(WRITTEN)
    return path


def test_a_file_is_read_with_its_variables(file):
    document = read_document(file)
    find, scores = document.steps
    assert (str(document.tables), document.format) == ("out/meta", "parquet")
    assert (find.command, find.words, find.inputs, find.ranks) == ("convert", ("video", "my videos"), None, 1)
    assert scores.options == {"scores": ["flow", "ocr"], "flow.method": "dis", "bs": "16", "strict": True}
    assert (scores.inputs, scores.output) == (("find", "other.csv"), "out/meta/all.parquet")
    assert (scores.ranks, scores.needs) == (2, ("rapidocr",))


def test_a_byte_order_mark_says_nothing(file):
    written = read_document(file)
    file.write_text(WRITTEN, encoding="utf-8-sig")  # as Windows' Notepad saves it
    assert read_document(file) == written


def test_what_is_set_takes_the_place_of_what_is_written(file):
    settings = ["videos=/a b", "out=/o", "scores.flow.method=gmflow", "scores.bs=1", "scores.on_error=drop"]
    document = read_document(file, [*settings, "scores.ranks=3", "find.exts=.mp4=x"])
    find, scores = document.steps
    assert find.words == ("video", "/a b") and find.options == {"exts": ".mp4=x"}
    assert scores.options["flow.method"] == "gmflow" and scores.options["bs"] == "1"
    assert scores.options["on_error"] == "drop" and scores.ranks == 3
    assert scores.output == "/o/meta/all.parquet"


def test_an_option_may_be_set_in_either_spelling(file):
    file.write_text(WRITTEN.replace("bs = 16", "num_workers = 4"))
    options = read_document(file, ["scores.num-workers=2"]).steps[1].options
    assert {name: value for name, value in options.items() if name.startswith("num")} == {"num-workers": "2"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[[step]]", "[[stpe]]", "no key 'stpe'; did you mean 'step'?"),
        ('name = "scores"', 'nam = "scores"', "step 2: name must be a text of letters, digits, _ and -"),
        ('name = "scores"', 'name = "../scores"', "step 2: name must be a text of letters, digits, _ and -"),
        ('name = "scores"', 'name = "find"', "two steps are named 'find'"),
        ("needs =", "neds =", "step 'scores': no key 'neds'; did you mean 'needs'?"),
        ("${videos}", "${vidoes}", "step 'find': run: no variable 'vidoes'; did you mean 'videos'?"),
        ('out = "out"', 'out = "${meta}"', "[variables]: out: ${out} must stand above it"),
        ("ranks = 2", "ranks = 0", "step 'scores': ranks must be a whole number from 1 on, not 0"),
        ("ranks = 2", "ranks = true", "step 'scores': ranks must be a whole number from 1 on, not True"),
        ('"parquet"', '"parqet"', "[pipeline]: no format 'parqet'; did you mean 'parquet'?"),
        ("video ${videos}", "video --exts .mp4", "step 'find': run: --exts is a flag; flags are options"),
        ("video ${videos}", "video 'a", "step 'find': run: No closing quotation"),
        ("bs = 16", "bs = 2026-01-01", "step 'scores': bs must be a text or a number, not datetime.date"),
        ("bs = 16", "bs = 16 16", "not TOML: "),
        ("[step.options]", "[step.option]", "no key 'option'; did you mean 'options'?"),
    ],
)
def test_a_mistake_is_told_with_its_place(file, before, after, told):
    file.write_text(WRITTEN.replace(before, after))
    with pytest.raises(UserError) as error:
        read_document(file)
    assert str(error.value).startswith(f"{file}: ") and told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("vidoes=x", "no variable 'vidoes'; did you mean 'videos'?"),
        ("score.bs=1", "no step 'score'; did you mean 'scores'?"),
        ("videos", "write VARIABLE=VALUE or STEP.OPTION=VALUE"),
        ("scores.=1", "write VARIABLE=VALUE or STEP.OPTION=VALUE"),
    ],
)
def test_what_is_set_has_to_be_there(file, setting, told):
    with pytest.raises(UserError, match="--set") as error:
        read_document(file, [setting])
    assert told in str(error.value)


@pytest.mark.parametrize("content", [b"", b"step = 3", b"[[step]]\nname = '\xff'", b"[variables]\na = 1"])
def test_a_file_without_steps_is_refused(tmp_path, content):
    path = tmp_path / "chain.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"has no \[\[step\]\]|not UTF-8"):
        read_document(path)
    with pytest.raises(UserError, match=r"none\.toml: cannot be read: No such file"):
        read_document(tmp_path / "none.toml")
