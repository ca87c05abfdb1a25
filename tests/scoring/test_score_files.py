"""``vidsieve.score`` with models: the values of the command; what is wrong is told before work begins."""

import pandas as pd
import polars as pl
import pytest

import vidsieve
from tools.scoring import __main__ as command

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
