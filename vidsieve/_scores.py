"""Scores and captions of files, in memory: the stages of the commands, without a table on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import polars as pl

from tools import cli
from tools.errors import UserError
from tools.scoring.fused import FusedStage
from tools.scoring.scorers import make_scorer, parse_scores
from tools.stage.options import add_stage_arguments
from tools.stage.run_options import RunOptions
from tools.stage.stage import weights_later
from vidsieve._rows import map_frame

if TYPE_CHECKING:
    import pandas as pd

    FrameT = TypeVar("FrameT", pl.DataFrame, pl.LazyFrame, pd.DataFrame)

Files = str | Path | Sequence[str | Path]


@overload
def score(
    files: Files,
    scores: str | Iterable[str],
    *,
    device: str | None = ...,
    precision: str | None = ...,
    decoder: str = ...,
    error_column: str = ...,
    run: RunOptions | None = ...,
    **flags: Mapping[str, Any],
) -> pl.DataFrame: ...
@overload
def score(
    files: FrameT,
    scores: str | Iterable[str],
    *,
    device: str | None = ...,
    precision: str | None = ...,
    decoder: str = ...,
    error_column: str = ...,
    run: RunOptions | None = ...,
    **flags: Mapping[str, Any],
) -> FrameT: ...
def score(
    files: Files | pl.DataFrame | pl.LazyFrame | pd.DataFrame,
    scores: str | Iterable[str],
    *,
    device: str | None = None,
    precision: str | None = None,
    decoder: str = "pyav",
    error_column: str = "error",
    run: RunOptions | None = None,
    **flags: Mapping[str, Any],
) -> pl.DataFrame | pl.LazyFrame | pd.DataFrame:
    """Score files. Each is decoded once for all scores; the values are those of the commands.

    ``score(["a.mp4", "b.jpg"], "aes,flow")``, ``score(frame, "flow", flow={"method": "dis"})``,
    ``score(frame, ["match", "quality"], device="cpu")``.

    Args:
        files: A path or several; or a pandas or Polars frame, lazy or not, with a column ``path``, and
            ``text`` for scores that compare captions. It is not changed.
        scores: Of aes, flow, ocr, match, emscore, quality, audio, technical, dedup: names with commas between
            them, or several names.
        device: Where models run: auto, cpu, cuda or cuda:N.
        precision: Of models: auto, fp32, bf16 or fp16.
        decoder: ``pyav`` or ``decord``.
        error_column: Name of the column that says why a row has not all its values.
        run: Workers, batch size, time and memory for a file, progress bar; by default as the command, without
            the bar.
        flags: Under the name of a score, its options by the names of the flags of its command:
            ``flow={"motion_pairs": 3}``; True for a switch, a list for several values.

    Returns:
        A frame of the same kind, with the columns of the scores, and `error_column`: ``kind: message``, empty
        for a row that has its values. A value that could not be computed is an empty cell; columns of these
        names that were there are replaced. Of paths a Polars frame with ``path``.

    Raises:
        UserError: An unknown score or flag; weights or a column are missing.
    """
    names = parse_scores(scores if isinstance(scores, str) else ",".join(scores))
    for name, own in flags.items():
        if name not in names:
            raise UserError(f"{name}: is not among the scores {', '.join(names)}")
        if not isinstance(own, Mapping):
            raise UserError(f"{name}: must be a dict of flags and their values, not {own!r:.60}")
    shared = _given({"device": device, "precision": precision})
    options = {name: _given(flags.get(name, {})) for name in names}
    for name, given in options.items():
        _refuse_run_options(name, given)
    with weights_later():
        stages = [make_scorer(name, options[name], shared) for name in names]
        fused = FusedStage(stages=tuple(stages), decoder=decoder)
    for stage in stages:
        if stage.vector_file:
            raise UserError(f"{stage.name}: {stage.vector_file}: the command alone writes embeddings")
    return map_frame(files, fused, run or RunOptions(batch_size=256), error_column)


@overload
def caption(
    files: Files,
    model: str,
    *,
    base_url: str | None = ...,
    prompt: str = ...,
    num_frames: int | None = ...,
    max_tokens: int = ...,
    error_column: str = ...,
    run: RunOptions | None = ...,
    **flags: Any,
) -> pl.DataFrame: ...
@overload
def caption(
    files: FrameT,
    model: str,
    *,
    base_url: str | None = ...,
    prompt: str = ...,
    num_frames: int | None = ...,
    max_tokens: int = ...,
    error_column: str = ...,
    run: RunOptions | None = ...,
    **flags: Any,
) -> FrameT: ...
def caption(
    files: Files | pl.DataFrame | pl.LazyFrame | pd.DataFrame,
    model: str,
    *,
    base_url: str | None = None,
    prompt: str = "video",
    num_frames: int | None = None,
    max_tokens: int = 300,
    error_column: str = "error",
    run: RunOptions | None = None,
    **flags: Any,
) -> pl.DataFrame | pl.LazyFrame | pd.DataFrame:
    """Caption files, by a model on this machine or behind an OpenAI-compatible server.

    ``caption(paths, "Qwen/Qwen3-VL-8B-Instruct", base_url="http://localhost:8000/v1")``,
    ``caption(frame, "models/llava-v1.6-mistral-7b-hf", prompt="Name the sport in one sentence.")``.

    Args:
        files: As for `score`.
        model: With `base_url` its name as the server knows it; without, the folder or id of a model that
            transformers loads.
        base_url: The server; its key is read from the environment, OPENAI_API_KEY.
        prompt: The name of a prompt, a text file, or the text.
        num_frames: Frames of a video; by default as many as the command takes.
        max_tokens: Most tokens of a caption.
        error_column: As for `score`.
        run: As for `score`.
        flags: Further flags of ``caption_api`` or ``caption_llava``: ``sampling="fps:1"``,
            ``existing_text=True``, ``concurrency=64``.

    Returns:
        As `score`; the columns are ``text`` and ``text_finish`` (``stop``; ``length`` for one that was cut
        off).

    Raises:
        UserError: The model is missing or the server is out of reach; an unknown flag; a missing column.
    """
    flags = {**flags, "prompt": prompt, "num_frames": num_frames, "max_tokens": max_tokens}
    _refuse_run_options("caption", flags)
    if base_url is None:
        from tools.caption import caption_llava

        with weights_later():
            local = caption_llava.COMMAND.stage_from(_given({**flags, "model_path": model}))
        return map_frame(files, local, run or RunOptions(batch_size=16), error_column)

    from tools.caption import caption_api

    remote = caption_api.COMMAND.stage_from(_given({**flags, "model": model, "base_url": base_url}))
    run = run or RunOptions(batch_size=remote.rows_of_a_batch)
    try:
        return map_frame(files, remote, run, error_column)
    except KeyboardInterrupt:
        remote.cancel()
        raise
    finally:
        remote.close()


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with a value, by name in ``underscore_form``."""
    return {name.replace("-", "_"): value for name, value in options.items() if value is not None}


def _refuse_run_options(owner: str, names: Iterable[str]) -> None:
    """Check that none of these is about a run over a table on disk.

    Raises:
        UserError: One is.
    """
    running = cli.ArgumentParser("", "", "")
    add_stage_arguments(running, batch_size=1, engine=True)
    for name in names:
        flag = "--" + name.replace("_", "-")
        if flag in running._option_string_actions or flag in ("--dp-size", "--tp-size"):
            raise UserError(f"{owner}: {name} belongs to the command; options of the run go into run=")
