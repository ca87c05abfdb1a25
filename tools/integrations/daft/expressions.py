"""Each scorer as an expression: ``df.with_column("quality", video_quality_score(col("video_path")))``.

The stage is that of the command, and so are its options and values. What all functions take beside them is
described at `tools.integrations.daft.stage_expression.score_with`. The stage is created in the workers; this
machine needs no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.errors import UserError
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.stage_expression import score_with
from tools.integrations.daft.stage_udf import FORMAT
from tools.options.by_name import named_options
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage, weights_later

if TYPE_CHECKING:
    from daft import Expression


def score(
    name: str,
    path: Expression,
    text: Expression | None = None,
    *,
    column: str | None = None,
    **options: Any,
) -> Expression:
    """Any score of the commands, by its name: ``score("flow", col("path"), method="dis")``.

    Args:
        name: A name of ``python -m tools.scoring --scores``: aes, flow, ocr ...
        path: Paths, addresses or bytes of videos and images.
        text: Captions, for scores that compare them.
        column: The column that the expression gives; by default a struct of all, and ``error``.
        options: Options of the score's command and of `score_with`, ``format``; and expressions, which are
            further columns that the score reads: ``reference=col("a"), reference_column="reference"``.

    Raises:
        UserError: There is no such score, option or column; or a column is missing that it reads.
    """
    from tools.scoring.scorers import scorer_command

    expression = import_daft().Expression
    cells = {"path": path} if text is None else {"path": path, "text": text}
    cells |= {key: value for key, value in options.items() if isinstance(value, expression)}
    options = {key: value for key, value in options.items() if key not in cells}
    run = {key: options.pop(key) for key in _RUN if key in options}
    cells = _with_format(cells, options)
    spec = scorer_command(name).spec_from(options)
    with weights_later():
        missing = [needed for needed in spec.make().required_columns if needed not in cells]
    if missing:
        raise UserError(f"score {name}: reads the column {missing[0]}, which is not given")
    return score_with(spec, cells, column=column, **run)


def video_aesthetic_score(path: Expression, *, struct: bool = False, **options: Any) -> Expression:
    """The LAION aesthetic score, about 1 to 10: Float64.

    Args:
        path: Paths, addresses or bytes of videos and images.
        struct: Give ``{aes, error}``.
        options: ``format``; ``num_frames``, ``sampling``; options of
            `tools.scoring.aesthetic.stage.AestheticStage` and of `score_with`.
    """
    from tools.scoring.aesthetic.stage import AestheticStage

    return _score(AestheticStage, "aes", {"path": path}, struct, options)


def video_quality_score(
    path: Expression, *, prompts: Sequence[str] | str = ("quality",), struct: bool = False, **options: Any
) -> Expression:
    """CLIP-IQA, 0 to 1: Float64; for several prompts (or reductions) a struct of a number for each.

    Args:
        path: Paths, addresses or bytes of videos and images.
        prompts: See `tools.scoring.quality.prompts.parse_prompts`.
        struct: Give a struct also for one prompt: ``{quality, error}``.
        options: As for `video_aesthetic_score`, with `tools.scoring.quality.stage.QualityStage`.
    """
    from tools.scoring.quality.prompts import parse_prompts
    from tools.scoring.quality.stage import QualityStage

    prompts = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    options = {**options, "prompts": prompts}
    reduce = options.get("reduce", ("avg",))
    options["reduce"] = (reduce,) if isinstance(reduce, str) else tuple(reduce)
    pairs = parse_prompts(prompts)
    alone = pairs[0].column if len(pairs) == 1 and len(options["reduce"]) == 1 else None
    return _score(QualityStage, alone, {"path": path}, struct, options)


def video_text_match(
    path: Expression, text: Expression, *, struct: bool = False, **options: Any
) -> Expression:
    """100 times the cosine of CLIP's features of pictures and caption: Float64.

    Args:
        path: Paths, addresses or bytes of videos and images.
        text: Captions.
        struct: Give ``{match, error}``.
        options: As for `video_aesthetic_score`, with `tools.scoring.matching.stage.MatchingStage`.
    """
    from tools.scoring.matching.stage import MatchingStage

    return _score(MatchingStage, "match", {"path": path, "text": text}, struct, options)


def video_emscore(
    path: Expression,
    text: Expression,
    reference: Expression | None = None,
    *,
    struct: bool = False,
    **options: Any,
) -> Expression:
    """EMScore of caption and video, -1 to 1: Float64; with references a struct of all three scores.

    Args:
        path: Paths, addresses or bytes of videos and images.
        text: Captions.
        reference: Other captions of the same videos, one or a list of them.
        struct: Give ``{emscore, error}``; also with several ``metrics``.
        options: As for `video_aesthetic_score`, with `tools.scoring.emscore.stage.EMScoreStage`.
    """
    from tools.scoring.emscore.stage import EMScoreStage

    cells = {"path": path, "text": text}
    if reference is not None:
        cells["reference"] = reference
        options["reference_column"] = "reference"
    alone = None if reference is not None or "metrics" in options or "score_types" in options else "emscore"
    return _score(EMScoreStage, alone, cells, struct, options)


def video_audio_similarity(
    path: Expression, text: Expression | None = None, *, struct: bool = False, **options: Any
) -> Expression:
    """How well the sound fits a caption (CLAP), or without captions the pictures (labels): Float64.

    Args:
        path: Paths, addresses or bytes of videos.
        text: Captions.
        struct: Give ``{audio_match, audio_mode, av_offset, audio_level, error}``.
        options: ``format``; options of `score_with` and of `tools.scoring.audio_similarity.stage.ClapStage`;
            without captions of `tools.scoring.audio_similarity.picture_stages.LabelsStage`, and
            ``num_frames``, ``sampling``.
    """
    from tools.scoring.audio_similarity.picture_stages import LabelsStage
    from tools.scoring.audio_similarity.stage import ClapStage

    if text is None:
        return _score(LabelsStage, "audio_match", {"path": path}, struct, options)
    return _score(ClapStage, "audio_match", {"path": path, "text": text}, struct, options)


def optical_flow_score(path: Expression, *, struct: bool = False, **options: Any) -> Expression:
    """Open-Sora's optical flow score: Float64; as a struct with the columns of motion.

    Args:
        path: Paths, addresses or bytes of videos.
        struct: Give ``{flow, motion, motion_p95, error}``.
        options: ``format``; options of `tools.scoring.optical_flow.stage.OpticalFlowStage` (``method="dis"``
            needs neither weights nor a GPU) and of `score_with`.
    """
    from tools.scoring.optical_flow.stage import OpticalFlowStage

    return _score(OpticalFlowStage, "flow", {"path": path}, struct, options)


def ocr_score(path: Expression, *, struct: bool = False, **options: Any) -> Expression:
    """How many regions of text the picture has: Int64; as a struct with their area.

    Args:
        path: Paths, addresses or bytes of videos and images.
        struct: Give ``{ocr, ocr_area, error}``, and ``ocr_text`` with ``text=True``.
        options: ``format``; ``num_frames``, ``sampling``; options of `tools.scoring.ocr.stage.OcrStage` and
            of `score_with`.
    """
    from tools.scoring.ocr.stage import OcrStage

    return _score(OcrStage, "ocr", {"path": path}, struct, options, dtype=pl.Int64)


def technical_score(
    path: Expression, *, measures: Sequence[str] | str | None = None, **options: Any
) -> Expression:
    """Technical measures: Float64 for one of a single column, else a struct of them all and ``error``.

    Args:
        path: Paths, addresses or bytes of videos and images.
        measures: Names from `tools.scoring.technical.measures.MEASURES`; by default all that need no file.
        options: ``format``; options of `tools.scoring.technical.stage.TechnicalStage` and of `score_with`.
    """
    from tools.scoring.technical.measures import MEASURES, check_measures
    from tools.scoring.technical.stage import TechnicalStage

    alone = None
    if measures is not None:
        measures = check_measures((measures,) if isinstance(measures, str) else tuple(measures))
        options["measures"] = measures
        columns = [column for name in measures for column in MEASURES[name].columns]
        alone = columns[0] if len(columns) == 1 else None
    return _score(TechnicalStage, alone, {"path": path}, options.pop("struct", False), options)


_RUN = ("gpus", "max_concurrency", "batch_size", "num_workers", "cpus", "timeout", "memory_gb", "max_pixels")


def _score(
    stage: type[Stage],
    column: str | None,
    cells: dict[str, Any],
    struct: bool,
    options: dict[str, Any],
    *,
    dtype: Any = pl.Float64,
) -> Expression:
    """The score of a stage, with options of the run and of the stage."""
    options = dict(options)
    run = {name: options.pop(name) for name in _RUN if name in options}
    cells = _with_format(cells, options)
    spec = StageSpec(stage, (), named_options(stage, options))
    column = None if struct else column
    return score_with(spec, cells, column=column, dtype=dtype, struct=struct, **run)


def _with_format(cells: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The cells, with the format of bytes where the options have it; takes it out of them."""
    if FORMAT not in options:
        return cells
    given = options.pop(FORMAT)
    return {**cells, FORMAT: import_daft().lit(given) if isinstance(given, str) else given}
