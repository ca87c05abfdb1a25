"""Each scorer as an expression: ``df.with_column("quality", video_quality_score(col("video_path")))``.

The stage is that of the command, and so are the values. What all functions take beside the stage's own
options is described at `score_with`. The stage is made in the workers; this machine needs weights for the
struct forms alone, whose columns are asked of the stage.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.errors import UserError
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.resources import Workers, check_resources, share_of_a_machine, usual_cpus
from tools.integrations.daft.stage_udf import (
    ERROR,
    FORMAT,
    StageWorker,
    daft_type,
    portion,
    value_columns,
    values_udf,
)
from tools.media.reading.sampling import Sampling, parse_sampling
from tools.stage.engine import RunOptions
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage

if TYPE_CHECKING:
    from daft import Expression


def score_with(
    stage: Stage | StageSpec,
    cells: Mapping[str, Expression] | None = None,
    *,
    column: str | None = None,
    dtype: pl.DataType | type[pl.DataType] | None = None,
    struct: bool = False,
    gpus: float = 0,
    max_concurrency: int = 1,
    batch_size: int = 256,
    num_workers: int = 2,
    cpus: float | None = None,
    timeout: float | None = 600.0,
    memory_gb: float | None = 4.0,
    **further_cells: Expression,
) -> Expression:
    """Any stage as an expression.

    A row that cannot be scored is null, its neighbours have their values; the struct form says why.

    Args:
        stage: The stage, or the `StageSpec` of one, which is made only in the workers.
        cells: Expression for each column that the stage reads. ``path`` may hold paths, addresses
            (``https://``, ``s3://`` ...) or the bytes of files; ``format`` says what bytes are (``mp4``).
        column: The column of the stage that the expression gives.
        dtype: Its type. Where it is not given, a stage whose class does not tell is made here to be asked.
        struct: Give a struct of all columns of the stage, and ``error``: ``kind: message``, null for a row
            that has its values. Also where the stage adds several columns and `column` does not choose.
        gpus: GPUs of each worker; a fraction lets workers share one.
        max_concurrency: Workers (Daft calls them actors), each with the model.
        batch_size: Rows that a worker gets at a time. The model gets them in quarters, and works on one
            while the next is decoded. Between batches it waits for the first rows of the next one; where that
            matters, let two workers share the GPU: ``gpus=0.5, max_concurrency=2``.
        num_workers: Decoding processes of each worker; 0 decodes in the worker itself, without guards.
        cpus: CPUs of each worker, as Ray counts them; by default one for each decoding process.
        timeout: Seconds that preparing one row may take; None for no limit.
        memory_gb: Memory that one decoding process may take, GiB; None for no limit.
        further_cells: As `cells`: ``path=col("video_path")``.

    Returns:
        The expression.

    Raises:
        UserError: Daft is not installed; a column or an option is wrong; the cluster (or this machine) has
            not what the workers take. It is the runner that is set now which is looked at.
    """
    import_daft()
    cells = {**(cells or {}), **further_cells}
    _check_cells(cells)
    recipe = StageSpec.of(stage)
    recipe.check_options()
    if column is not None and dtype is not None and not struct:
        dtypes = {column: daft_type(dtype)}
    else:
        dtypes = _types(stage, recipe, column, struct)
    names = tuple(dtypes)
    if cpus is None:
        cpus = usual_cpus(num_workers)
    workers = Workers(gpus, max_concurrency, batch_size, num_workers, cpus)
    check_resources(workers)
    options = RunOptions(
        batch_size=portion(batch_size),
        num_workers=num_workers,
        timeout=timeout,
        memory_gb=memory_gb,
        progress=False,
    )
    worker = StageWorker(recipe, tuple(cells), options, actors=share_of_a_machine(workers))
    score = values_udf(
        worker, names, _result_type(dtypes, struct or column is None), workers, recipe.stage.__name__
    )
    return score(*cells.values())


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


_RUN = ("gpus", "max_concurrency", "batch_size", "num_workers", "cpus", "timeout", "memory_gb")


def _score(
    stage: type[Stage],
    column: str | None,
    cells: dict[str, Any],
    struct: bool,
    options: dict[str, Any],
    *,
    dtype: Any = pl.Float64,
) -> Expression:
    """Sort options into those of the run, of the frames and of the stage."""
    options = dict(options)
    run = {name: options.pop(name) for name in _RUN if name in options}
    if FORMAT in options:
        given = options.pop(FORMAT)
        cells = {**cells, FORMAT: import_daft().lit(given) if isinstance(given, str) else given}
    _choose_frames(stage, options)
    column = None if struct else column
    return score_with(StageSpec(stage, (), options), cells, column=column, dtype=dtype, struct=struct, **run)


def _choose_frames(stage: type[Stage], options: dict[str, Any]) -> None:
    """``num_frames`` and ``sampling`` mean what they mean on the command line."""
    count = options.get("num_frames")
    fields = {f.name: f for f in dataclasses.fields(stage)}
    if "sampling" not in fields:
        return
    given = options.get("sampling", fields["sampling"].default)
    options.pop("num_frames", None)
    if isinstance(given, str):
        options["sampling"] = parse_sampling(given, count)
    elif count is not None and isinstance(given, Sampling):
        policy = given.policy if given.count is not None else "first_middle_last"
        options["sampling"] = parse_sampling(policy, count)


def _check_cells(cells: Mapping[str, Any]) -> None:
    from daft import Expression

    for name, cell in cells.items():
        if not isinstance(cell, Expression):
            raise UserError(
                f"{name}: an expression is wanted, as col({str(cell)!r}), not {type(cell).__name__}"
            )


def _types(stage: Stage | StageSpec, recipe: StageSpec, column: str | None, struct: bool) -> dict[str, Any]:
    """The wanted columns, with their types in Daft."""
    known = getattr(recipe.stage, "output_columns", {})
    if column is not None and column in known and not struct:
        return {column: daft_type(known[column])}
    made = recipe.make() if isinstance(stage, StageSpec) else stage
    types = {name: daft_type(dtype) for name, dtype in value_columns(made).items()}
    if column is None or struct:
        return types
    if column not in types:
        raise UserError(f"Invalid column ({column}). The stage {made.name} adds {', '.join(types)}.")
    return {column: types[column]}


def _result_type(dtypes: dict[str, Any], struct: bool) -> Any:
    if not struct:
        return next(iter(dtypes.values()))
    data_type = import_daft().DataType
    return data_type.struct({**dtypes, ERROR: data_type.string()})
