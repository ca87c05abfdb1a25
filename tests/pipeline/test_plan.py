"""How steps are connected, and what their command lines are: checked against what a person would type."""

import pytest

from tools.errors import UserError
from tools.pipeline.document import read_document
from tools.pipeline.plan import plan_steps
from tools.pipeline.running import command_of

HEAD = """
[pipeline]
tables = "t"

[[step]]
name = "find"
run = "convert video 'my videos'"
"""


def planned(tmp_path, steps):
    path = tmp_path / "chain.toml"
    path.write_text(HEAD + steps)
    return plan_steps(read_document(path))


def step(name, run, **keys):
    lines = [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(["[[step]]", f'name = "{name}"', f'run = "{run}"', *lines, ""])


def test_a_step_reads_the_table_of_the_one_before_it_and_is_typed_so(tmp_path):
    steps = planned(
        tmp_path,
        step("probed", "datautil", options="{ info = true, fmin = 48, quiet = false }")
        + step("shots", "scene_detect")
        + step("cut", "cut", options='{ save_dir = "my clips" }')
        + step("clips", "convert video 'my clips'")
        + step("kept", "datautil", input='["shots", "cut"]', options='{ keep_rows = 2, by = "-fps" }'),
    )
    assert [command_of(one) for one in steps] == [
        "python -m tools.datasets.convert video 'my videos' --output=t/find.csv --overwrite",
        "python -m tools.datasets.datautil t/find.csv --info --fmin=48 --output=t/probed.csv --overwrite",
        "python -m tools.scene_cut.scene_detect t/probed.csv --output=t/shots.csv --overwrite",
        "python -m tools.scene_cut.cut t/shots.csv '--save-dir=my clips' --output=t/cut.csv --overwrite",
        "python -m tools.datasets.convert video 'my clips' --output=t/clips.csv --overwrite",
        "python -m tools.datasets.datautil t/shots.csv t/cut.csv --keep-rows=2 --by=-fps "
        "--output=t/kept.csv --overwrite",
    ]
    assert [one.after for one in steps] == [
        (),
        ("find",),
        ("probed",),
        ("shots",),
        ("cut",),
        ("shots", "cut"),
    ]


def test_lists_are_typed_as_each_flag_takes_them(tmp_path):
    scores = '{ scores = ["flow", "technical"], "technical.measures" = "luminance", flow.method = "dis" }'
    steps = planned(
        tmp_path,
        step("scores", "scoring", options=scores, ranks=2)
        + step("small", "transform img_resize", options='{ output_dir = "small", length = 64 }')
        + step("text", "datautil", options='{ select = ["path", "id"] }')
        + step("ours", "export", options='{ for = "wan2.1@musubi", output-dir = "d" }', input='"scores"')
        + step("page", "report", options='{ recipe = ["cosmos", "goku-480p"] }', input='"scores"'),
    )
    assert [command_of(one) for one in steps[1:]] == [
        "torchrun --standalone --nproc_per_node 2 -m tools.scoring t/find.csv --scores=flow,technical "
        "--technical.measures=luminance --flow.method=dis --output=t/scores.csv --overwrite",
        "python -m tools.datasets.transform img_resize t/scores.csv --output-dir=small --length=64 "
        "--output=t/small.csv --overwrite",
        "python -m tools.datasets.datautil t/small.csv --select path id --output=t/text.csv --overwrite",
        "python -m tools.export t/scores.csv --for=wan2.1@musubi --output-dir=d --output=t/ours.csv "
        "--overwrite",
        "python -m tools.report t/scores.csv --recipe=cosmos --recipe=goku-480p --output=t/page.html "
        "--overwrite",
    ]


def test_a_step_that_needs_what_is_not_here_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDSIEVE_AESTHETIC", str(tmp_path / "none.pth"))
    steps = planned(
        tmp_path,
        step("aes", "aesthetic", needs='["aesthetic"]')
        + step("probed", "datautil", options="{ info = true }")
        + step("page", "report", input='["aes", "probed"]'),
    )
    assert steps[1].left_out == "aesthetic is not here: python -m tools.models.weights download aesthetic"
    assert steps[2].after == ("find",) and steps[3].after == ("probed",)
    (tmp_path / "none.pth").touch()
    again = plan_steps(read_document(tmp_path / "chain.toml"))
    assert not again[1].left_out and again[2].after == ("aes",)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (step("a", "datutil"), "run: no command 'datutil'; did you mean 'datautil'?"),
        (step("a", "weights download"), "run: no command 'weights'"),
        (step("a", "datautil", options="{ fmni = 1 }"), "no option 'fmni'; did you mean 'fmin'?"),
        (step("a", "datautil", options='{ fmin = "x" }'), "--fmin: must be a finite number, not x"),
        (
            step("a", "datautil", options='{ where = ["aes > 1", "flow > 2"] }'),
            "where: is one condition, not a list",
        ),
        (step("a", "datautil", options="{ info = 3 }"), "info is a switch: true or false, not 3"),
        (step("a", "datautil", options="{ fmin = true }"), "fmin needs a value, not true"),
        (
            step("a", "datautil", options='{ output = "b.csv" }'),
            "output is no option of a step: it has a key",
        ),
        (step("a", "datautil", options='{ where = "motoin > 1" }'), "'motoin'; did you mean 'motion'?"),
        (step("a", "datautil", options='{ where = "motion >" }'), "--where: "),
        (step("a", "datautil", options='{ recipe = "cosmo" }'), "Did you mean cosmos?"),
        (step("a", "datautil", options="{ info = true }", ranks=2), "does not work row by row"),
        (step("a", "scoring", options='{ scores = "flwo" }'), "Invalid score (flwo)"),
        (
            step("a", "scoring", options='{ scores = "flow", flow.metod = "dis" }'),
            "did you mean 'flow.method'?",
        ),
        (step("a", "scoring", options='{ scores = "ocr", flow.method = "dis" }'), "flow is not among"),
        (step("a", "scene_detect", options='{ detector = "none" }'), "Invalid detector (none)"),
        (step("a", "cut"), "--save-dir"),
        (step("a", "ocr", input='"fnd"'), "input: no step 'fnd'; did you mean 'find'?"),
        (step("a", "ocr", input='"b"') + step("b", "ocr"), "input: step 'b' does not come before it"),
        (step("a", "convert video x", input='"find"'), "input: convert reads no table"),
        (step("a", "ocr", output='"t/find.csv"'), "output: t/find.csv is that of step 'find'"),
        (step("a", "ocr", output='"a.txt"'), "not a table"),
        (step("a", "show", output='"a.csv"'), "output: show has no --output"),
        (step("a", "ocr", needs='["rapidocrr"]'), "needs: no package or weight file 'rapidocrr'"),
        (step("a", "datautil extra", options="{ info = true }", input='"show.toml"'), "input: no step"),
    ],
)
def test_a_mistake_is_told_before_any_work(tmp_path, steps, told):
    with pytest.raises(UserError) as error:
        planned(tmp_path, steps)
    assert str(error.value).startswith(f"{tmp_path / 'chain.toml'}: step 'a': ")
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_column_of_the_users_own_may_be_named_as_it_likes(tmp_path):
    path = tmp_path / "chain.toml"
    kept = step("kept", "datautil", options='{ where = "motions > 1" }')
    path.write_text(step("find", "convert jsonl list.jsonl") + kept)
    assert len(plan_steps(read_document(path))) == 2
