"""EMScoreEval: the document's example, the values of the stage, and what cannot be scored."""

from __future__ import annotations

import json
import logging
import runpy

import pandas as pd
import pytest

from tests.integrations.dataflow.dataflow_files import Memory
from tests.support import make_video
from tools.errors import UserError
from tools.media.reading.sampling import Sampling
from tools.operators import EMScoreEval, FileStorage
from tools.scoring.emscore.idf import Idf
from tools.scoring.emscore.metrics import METRICS, SCORE_TYPES
from tools.scoring.emscore.stage import EMScoreStage, column_of
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows

COLUMNS = [f"{kind}_{metric}" for kind in SCORE_TYPES for metric in METRICS]
pytestmark = pytest.mark.usefixtures("clip_environment")
REFERENCES = ["the dog in the harbour", "sharp photo of the cat"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[str]:
    """5 s and 1 s, 10 frames per second."""
    folder = tmp_path_factory.mktemp("videos")
    return [str(make_video(folder / f"{n}.mp4", n, fps=10)) for n in (50, 10)]


def evaluated(rows, *, keys: dict[str, str] | None = None, **options) -> pd.DataFrame:
    storage = Memory(rows)
    EMScoreEval(**options, device="cpu", precision="fp32", num_workers=0).run(storage, **keys or {})
    return storage.frame


def expected(rows, **options) -> list[dict]:
    """What the stage gives, by the names of the operator."""
    options = {"reference_column": "reference", "metrics": None, **options}
    stage = EMScoreStage(candidate_column="candidate", device="cpu", precision="fp32", **options)
    rows = [{**row, "path": row["video_path"]} for row in rows]
    outcomes = map_rows(stage, rows, RunOptions(num_workers=0, progress=False))
    return [
        {f"{kind}_{metric}": own[column_of(kind, metric)] for kind in SCORE_TYPES for metric in METRICS}
        for own in outcomes
    ]


def row(video: object, candidate: object = "a good photo of the cat", reference: object = None) -> dict:
    return {"video_path": video, "candidate": candidate, "reference": reference}


def test_the_example_of_the_document(videos, tmp_path):
    table = tmp_path / "captions.jsonl"
    rows = [
        {"video_path": videos[0], "generated_caption": "the cat", "ground_truth": REFERENCES[0]},
        {"video_path": videos[1], "generated_caption": "bright dog", "ground_truth": REFERENCES},
    ]
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    script = tmp_path / "example.py"
    script.write_text(
        f"""
from tools.operators import EMScoreEval, FileStorage

class Pipeline:
    def __init__(self):
        self.storage = FileStorage(
            first_entry_file_name={str(table)!r},
            cache_path={str(tmp_path / "cache")!r},
            file_name_prefix="dataflow_cache_step",
            cache_type="jsonl",
        )
        self.emscore_evaluator = EMScoreEval(
            every_n_seconds=2.0,
            return_all_frames=False,
        )

    def forward(self):
        self.emscore_evaluator.run(
            storage=self.storage.step(),
            video_key="video_path",
            candidate_key="generated_caption",
            reference_key="ground_truth",
        )

Pipeline().forward()
"""
    )
    runpy.run_path(str(script), run_name="__main__")
    written = tmp_path / "cache" / "dataflow_cache_step_step1.jsonl"
    found = [json.loads(line) for line in written.read_text().splitlines()]
    assert list(found[0]) == [*rows[0], *COLUMNS, "emscore_error"]
    sampling = Sampling("interval_time", interval=2.0)
    same = [row(r["video_path"], r["generated_caption"], r["ground_truth"]) for r in rows]
    for own, values in zip(found, expected(same, sampling=sampling), strict=True):
        assert {name: own[name] for name in COLUMNS} == pytest.approx(values, abs=1e-2)  # auto: may be bf16
        assert own["emscore_error"] is None


def test_values_are_those_of_the_stage(videos):
    rows = [row(videos[0], reference=REFERENCES), row([videos[1]], reference=REFERENCES[1])]
    found = evaluated(rows, every_n_frames=4)
    assert list(found.columns) == ["video_path", "candidate", "reference", *COLUMNS, "emscore_error"]
    same = [rows[0], {**rows[1], "video_path": videos[1]}]
    assert found[COLUMNS].to_dict("records") == expected(same, sampling=Sampling("interval_frames", step=4))
    assert found["emscore_error"].tolist() == [None, None]


def test_every_row_keeps_what_it_can_have(videos, tmp_path, caplog):
    """The columns are there though the first row fails and the second has no reference."""
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video\n")
    rows = pd.DataFrame(
        [
            row(broken, reference=REFERENCES[0]),
            row(videos[1]),
            row(videos[1], reference=float("nan")),
            row(None, reference=REFERENCES[0]),
            row(videos[1], candidate=" ", reference=REFERENCES[0]),
            row(videos[1], reference=REFERENCES),
        ],
        index=[7, 7, 7, 1, 2, 3],
    )
    with caplog.at_level(logging.WARNING, "tools.operators"):
        found = evaluated(rows)
    reasons = found["emscore_error"].tolist()
    assert [reason and reason.partition(":")[0] for reason in reasons] == [
        "unreadable",
        "bad_value",
        "bad_value",
        "bad_value",
        "bad_value",
        None,
    ]
    assert "no EMScore(X,X*): the cell of column reference is empty" in reasons[1]
    assert "column candidate" in reasons[4]
    video = [name for name in COLUMNS if name.startswith("EMScore(X,V)_")]
    assert found[video].notna().all(axis=1).tolist() == [False, True, True, False, False, True]
    others = [name for name in COLUMNS if name not in video]
    assert found[others].notna().all(axis=1).tolist() == [False] * 5 + [True]
    assert found.index.tolist() == [7, 7, 7, 1, 2, 3]
    assert "5 of 6 rows lack an EMScore: 4 bad_value, 1 unreadable" in caplog.text


def test_captions_in_a_column_called_path(videos):
    rows = [row(videos[1], reference=REFERENCES[0])]
    renamed = pd.DataFrame(rows).rename(columns={"candidate": "path"})
    found = evaluated(renamed, keys={"candidate_key": "path"})
    pd.testing.assert_frame_equal(found[COLUMNS], evaluated(rows)[COLUMNS])


def test_a_table_without_references(videos):
    frame = pd.DataFrame([row(videos[1])]).drop(columns="reference")
    found = evaluated(frame)
    assert found[COLUMNS].notna().sum(axis=1).tolist() == [7]
    alone = evaluated(frame, score_types=["EMScore(X,V)"], metrics=["full_F", "cogr"])
    assert list(alone.columns) == [
        "video_path",
        "candidate",
        "EMScore(X,V)_cogr",
        "EMScore(X,V)_full_F",
        "emscore_error",
    ]
    assert alone["emscore_error"].tolist() == [None]
    assert alone["EMScore(X,V)_full_F"].tolist() == found["EMScore(X,V)_full_F"].tolist()


def test_details_of_frames(videos):
    rows = [row(videos[1], reference=REFERENCES[0]), row("no.mp4")]
    found = evaluated(rows, every_n_seconds=0.3, return_all_frames=True)
    details = json.loads(found["frame_details"][0])
    assert [frame["frame_index"] for frame in details] == [0, 3, 6, 9]
    assert [frame["timestamp"] for frame in details] == pytest.approx([0, 0.3, 0.6, 0.9])
    assert all(set(frame["EMScore(X,V,X*)"]) == set(METRICS) for frame in details)
    assert found["frame_details"][1] is None


def test_weights_may_be_a_file(videos, clip, tmp_path):
    from tools.models.clip_tokenizer import load_tokenizer

    idf = Idf.fit([*REFERENCES, "a cat"], load_tokenizer(clip.vocabulary), 16)
    rows = [row(videos[1], reference=REFERENCES[0])]
    found = evaluated(rows, idf=idf.save(tmp_path / "idf.json"))
    assert found[COLUMNS].to_dict("records") == expected(rows, idf=idf)
    assert found[COLUMNS].to_dict("records") != expected(rows)


def test_captions_that_were_cut_are_told_and_those_that_fail_have_a_reason(videos, caplog):
    rows = [row(videos[1], "the cat " * 20, REFERENCES[0])]
    with caplog.at_level(logging.WARNING, "tools.operators"):
        found = evaluated(rows, long_text="truncate")
    assert found["emscore_error"].tolist() == [None]
    assert "1 of 1 rows: caption longer than the 16 tokens" in caplog.text
    (reason,) = evaluated(rows, long_text="error")["emscore_error"]
    assert reason == "bad_value: column candidate: the caption has 40 tokens, CLIP takes 14"


def test_options_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match="exclude each other"):
        EMScoreEval(every_n_seconds=2.0, every_n_frames=3)
    with pytest.raises(UserError, match="greater than 0"):
        EMScoreEval(every_n_seconds=0)
    with pytest.raises(UserError, match=r"whole number, not 2\.5"):
        EMScoreEval(every_n_frames=2.5)
    with pytest.raises(UserError, match=r"Invalid score_types \(EMScore\)"):
        EMScoreEval(score_types=["EMScore"])
    with pytest.raises(UserError, match="Invalid metrics"):
        EMScoreEval(metrics=["F1"])
    table = tmp_path / "captions.jsonl"
    table.write_text('{"video_path": "x.mp4"}\n')
    with pytest.raises(UserError, match="no column candidate"):
        EMScoreEval().run(FileStorage(str(table), cache_path=str(tmp_path)).step())
