"""Any stage as a Daft expression: the columns that it reads in, those that it adds out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.columns import polars_type
from tools.errors import UserError, check_choice
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.resources import Workers, check_resources, share_of_a_machine, usual_cpus
from tools.integrations.daft.stage_udf import (
    ERROR,
    StageWorker,
    daft_type,
    portion,
    values_udf,
)
from tools.stage.run_options import RunOptions
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage, weights_later

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
    max_pixels: int | None = None,
    **further_cells: Expression,
) -> Expression:
    """Any stage as an expression.

    A row that cannot be scored is null, its neighbours have their values; the struct form says why.

    Args:
        stage: The stage, or the `StageSpec` of one, which is created only in the workers.
        cells: Expression for each column that the stage reads. ``path`` may hold paths, addresses
            (``https://``, ``s3://`` ...) or the bytes of files; ``format`` says what bytes are (``mp4``).
        column: The column of the stage that the expression gives.
        dtype: Its type; by default that of the stage.
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
        max_pixels: Pixels one picture may have; None for the default.
        further_cells: As `cells`: ``path=col("video_path")``.

    Returns:
        The expression.

    Raises:
        UserError: Daft is not installed; a column or an option is wrong; the cluster (or this machine) has
            not what the workers take. What counts is the runner that is set now.
    """
    import_daft()
    cells = {**(cells or {}), **further_cells}
    _check_cells(cells)
    spec = StageSpec.of(stage)
    spec.check_options()
    if column is not None and dtype is not None and not struct:
        dtypes = {column: daft_type(dtype)}
    else:
        dtypes = _types(stage, spec, column, struct)
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
        max_pixels=max_pixels,
        progress=False,
    )
    worker = StageWorker(spec, tuple(cells), options, actors=share_of_a_machine(workers))
    udf = values_udf(
        worker, names, _result_type(dtypes, struct or column is None), workers, spec.stage.__name__
    )
    return udf(*cells.values())


def _check_cells(cells: Mapping[str, Any]) -> None:
    from daft import Expression

    for name, cell in cells.items():
        if not isinstance(cell, Expression):
            raise UserError(
                f"{name}: must be an expression like col({str(cell)!r}), not {type(cell).__name__}"
            )


def _types(stage: Stage | StageSpec, spec: StageSpec, column: str | None, struct: bool) -> dict[str, Any]:
    """The columns of the expression, with their types in Daft."""
    known = getattr(spec.stage, "output_columns", {})
    if column is not None and column in known and not struct:
        return {column: daft_type(polars_type(known[column]))}
    with weights_later():
        made = spec.make() if isinstance(stage, StageSpec) else stage
    types = {name: daft_type(dtype) for name, dtype in made.added_columns.items()}
    if column is None or struct:
        return types
    check_choice("column", column, types)
    return {column: types[column]}


def _result_type(dtypes: dict[str, Any], struct: bool) -> Any:
    if not struct:
        return next(iter(dtypes.values()))
    data_type = import_daft().DataType
    return data_type.struct({**dtypes, ERROR: data_type.string()})
