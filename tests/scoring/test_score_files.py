"""``vidsieve.score`` with models: the values of the command; what is wrong is told before work begins."""

import pandas as pd
import polars as pl
import pytest

import vidsieve
from tools.scoring import __main__ as command
from tools.scoring.scorers import make_scorer
from tools.stage.stage import weights_later

HERE = vidsieve.RunOptions(num_workers=0, batch_size=2)
QUALITY = {"prompts": ["quality", "warm"], "num_frames": 4}


def test_scores_with_captions_are_those_of_the_command(clip_environment, media, tmp_path):
    rows = {"path": [*map(str, media.values())], "text": ["a good photo of the cat", "the dog", "", None]}
    meta = vidsieve.write_table(pl.DataFrame(rows), tmp_path / "meta.csv")
    flags = ["--quality.prompts", "quality", "warm", "--quality.num-frames", "4"]
    flags += ["--device", "cpu", "--num-workers", "0", "--quiet"]
    assert command.main([str(meta), "--scores", "match,quality", *flags]) == 0
    columns = ["match", "quality", "quality_warm"]
    written = vidsieve.read_table(tmp_path / "meta_match_quality.csv")
    expected = written.select(pl.col(columns).cast(pl.Float64))
    assert expected["quality"].null_count() == 0 and expected["match"].null_count() == 2
    for frame in (pl.DataFrame(rows), pd.DataFrame(rows)):
        scored = vidsieve.score(frame, "match,quality", device="cpu", run=HERE, quality=QUALITY)
        assert type(scored) is type(frame)
        found = scored[columns] if isinstance(frame, pl.DataFrame) else pl.from_pandas(scored[columns])
        assert found.rows() == expected.rows()
        why = ["" if pd.isna(reason) else reason for reason in scored["error"]]
        assert why[:2] == ["", ""] and all(reason.startswith("bad_value: match: ") for reason in why[2:])


def test_a_missing_column_is_told_before_missing_weights(media, monkeypatch, tmp_path):
    monkeypatch.setenv("PRETRAINED_MODELS", str(tmp_path))
    paths = list(media.values())
    with pytest.raises(vidsieve.UserError, match="no column 'text'"):
        vidsieve.score(paths, "match", device="cpu", run=HERE)
    with pytest.raises(vidsieve.UserError, match="among the scores aes, flow"):
        vidsieve.score(paths, "aes,flow", ocr={"text": True})
    with pytest.raises(vidsieve.UserError, match=r"aes: .*\.npy: the command alone writes embeddings"):
        vidsieve.score(paths, "aes", aes={"save_embeddings": str(tmp_path / "e.npy")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metod": "dis"}, r"Invalid option \(metod\). Supported values are method, motion_pairs, .*device"),
        ({"method": "fast"}, r"Invalid method \(fast\). Supported values are"),
        ({"motion_pairs": 2.5}, r"Invalid motion_pairs \(2.5\). Supported values are"),
        ({"num_workers": 2}, r"flow: num_workers belongs to the command"),
    ],
)
def test_options_of_a_score_are_checked_by_name(media, options, message):
    with pytest.raises(vidsieve.UserError, match=message):
        vidsieve.score(media["short"], "flow", run=HERE, flow=options)


def test_options_have_the_names_of_flags_and_of_fields():
    with weights_later():
        for name in ("hflip", "horizontal_flip"):
            options = {"mode": "compat", name: True, "num_frames": 5}
            stage = make_scorer("audio", options, {"decoder": "decord", "precision": "fp32"})
            assert (stage.mode, stage.horizontal_flip, stage.decoder) == ("compat", True, "decord")
            assert stage.sampling == vidsieve.Sampling("first_middle_last", 5)
        assert make_scorer("audio", {}, {"precision": "fp32"}).mode == "clap"  # which has no precision
        emscore = make_scorer("emscore", {"every_n_seconds": 2, "return_all_frames": True, "metrics": "cogr"})
        assert emscore.sampling == vidsieve.Sampling("interval_time", interval=2.0)
        assert emscore.frame_details and emscore.metrics == ("cogr",)
        for options, message in (
            ({"hflip": True}, "--hflip is for --mode labels or audio_caption or compat, not for clap"),
            ({"mode": "loud"}, r"Invalid mode \(loud\). Supported values are clap, labels"),
        ):
            with pytest.raises(vidsieve.UserError, match=message):
                make_scorer("audio", options)
        with pytest.raises(vidsieve.UserError, match="horizontal_flip"):
            make_scorer("audio", {"mode": "compat", "hflip": True, "horizontal_flip": True})
