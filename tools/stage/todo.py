"""Which rows of a table are to be done: those that the ledger does not have, or that are asked for again."""

from __future__ import annotations

import dataclasses

from tools.errors import PASSING_KINDS, MediaError
from tools.stage.engine import RunOptions
from tools.stage.ledger import Ledger
from tools.stage.shards import Shard
from tools.stage.stage import Stage, failed_kinds


def rows_to_do(
    stage: Stage, ledger: Ledger, keys: list[str], options: RunOptions, shard: Shard
) -> tuple[dict[str, int], set[str]]:
    """Rows that are to be done now, and those that a limit leaves for later.

    Returns:
        The key and the first row that has it, in the order of the table; and the keys that the output must do
        without. A row that an earlier run finished, and that was to be done again, is not among these.
    """
    todo: dict[str, int] = {}
    for number, key in enumerate(keys):
        if key not in todo and not _still_good(stage, ledger, key, options):
            todo[key] = number
    if options.limit is None:
        return todo, set()
    now = list(todo)[: len(shard.rows(options.limit))]
    failed_too = dataclasses.replace(options, retry_failed=False)
    later = {key for key in todo if not _still_good(stage, ledger, key, failed_too)} - set(now)
    return {key: todo[key] for key in now}, later


def _still_good(stage: Stage, ledger: Ledger, key: str, options: RunOptions) -> bool:
    """Whether a row is finished, and what it left on disk (clips, say) has not been removed since."""
    outcome = ledger.outcomes.get(key)
    if outcome is None:
        return False
    failed = failed_kinds(outcome)
    if failed and not (PASSING_KINDS | options.retried_kinds).isdisjoint(failed):
        return False
    if isinstance(outcome, MediaError):
        return True
    if stage.vector_file and not ledger.has_vector(key):
        return False
    return stage.outputs_exist(outcome)
