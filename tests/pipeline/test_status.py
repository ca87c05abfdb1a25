"""How far a pipeline is, and what it would take; what is right is what the test has made happen."""

import json
import re
from pathlib import Path

import pytest

from tools.errors import UserError
from tools.pipeline.__main__ import main
from tools.pipeline.chain import open_chain
from tools.pipeline.document import read_document
from tools.pipeline.estimates import Sum
from tools.stage.estimate import Estimate

pytestmark = pytest.mark.slow

CHAIN = """
[[step]]
name = "rows"
run = "convert jsonl list.jsonl"

[[step]]
name = "checked"
run = "caption_checks"
options = { quiet = true, num-workers = 1 }

[[step]]
name = "kept"
run = "datautil"
options = { head = 2 }
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Four captions, and a chain that has not run."""
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"path": f"{i}.mp4", "text": f"a caption of {i}"}) for i in range(4)]
    (tmp_path / "list.jsonl").write_text("\n".join(rows))
    (tmp_path / "chain.toml").write_text(CHAIN)
    return tmp_path


def run(*words: str) -> int:
    return main(["chain.toml", *words])


def test_never_begun_then_half_then_finished(place, capsys):
    assert run("--status") == 5
    assert capsys.readouterr().out.splitlines() == [
        "chain.toml: never begun",
        "  rows: to do",
        "  checked: to do",
        "  kept: to do",
    ]
    assert not (place / "meta").exists()
    assert run("--to", "rows") == 0
    capsys.readouterr()
    assert run("--status") == 4
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "chain.toml: not at work, and not at its end"
    assert re.fullmatch(r"  rows: finished, 4 rows, [\d.]+ s", told[1]) and told[2] == "  checked: to do"
    assert run("--status", "--to", "rows") == 0
    capsys.readouterr()
    assert run("--dry-run") == 0
    plan = capsys.readouterr().out
    assert re.search(r"checked\.csv: to do, it was never run, about [\d.]+ s by \d rows on trial\n", plan)
    assert re.search(r"\n   [\d.e-]+ CPU hours, [\d.]+ (bytes|kB) written\n", plan)
    last = plan.splitlines()[-1]
    assert re.fullmatch(
        r"in all about [\d.]+ s, .* written, without 1 step whose input is not there yet", last
    )
    assert run() == 0
    capsys.readouterr()
    assert run("--status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], [step["state"] for step in found["steps"]]) == ("finished", ["finished"] * 3)
    assert found["steps"][2]["rows"] == 2


def test_a_step_that_has_begun_is_at_work_while_the_lock_is_held(place, capsys):
    assert run("--to", "checked") == 0
    chain = open_chain(read_document("chain.toml"))
    record = chain.state.of("checked")
    record.begun = "checked.csv"
    chain.state.save()
    capsys.readouterr()
    with chain.state.locked():
        assert run("--status") == 3
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "chain.toml: running" and told[2] == "  checked: running"
    assert told[3].startswith("    meta/checked.csv: finished, 4 of 4 rows")
    assert run("--status") == 4
    assert "  checked: begun, and not ended\n" in capsys.readouterr().out


def test_a_step_that_is_out_of_date_is_to_do_again(place, capsys):
    assert run("--to", "rows") == 0
    chain = open_chain(read_document("chain.toml"))
    chain.state.of("checked").outputs = {"checked.csv": "0"}
    chain.state.save()
    capsys.readouterr()
    assert run("--status") == 4
    assert "  checked: to do again\n" in capsys.readouterr().out


def test_what_several_steps_take_adds_up():
    total = Sum()
    assert total.line() == ""
    total.add(None)
    assert total.line() == ""
    total.add(60.0, Estimate(9, 3, 60.0, 1.5, None, 2e6))
    total.add(120.0, Estimate(9, 3, 120.0, 0.5, 0.25, 1e6))
    assert total.line() == (
        "in all about 3 min, 2 CPU hours, 0.25 GPU hours, 3.0 MB written, "
        "without 1 step whose input is not there yet"
    )


def test_flags_that_do_not_go_together(place):
    with pytest.raises(UserError, match="--json goes with --status"):
        run("--json")
    (place / "chain.toml").write_text(CHAIN.replace("quiet = true", "status = true"))
    with pytest.raises(UserError, match=r"status is no option of a step: .* has --status"):
        run("--dry-run")
