"""Operations on captions: which rows stay, and what the column text says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tools.datasets.operations.base import Context, Operation, Phase, Split, split_by, split_rows
from tools.datasets.operations.paths import is_empty, keep_first
from tools.errors import MediaError

if TYPE_CHECKING:
    import polars as pl

    from tools.datasets.text.parallel import BatchFunction


def _remove_empty(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return split_by(frame, ~is_empty("text"))


def _caption_ok(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    import polars as pl

    return split_by(frame, pl.col("caption_flags") == "")  # an empty cell has not been checked


def _remove_url(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    import polars as pl

    return split_by(frame, ~pl.col("text").fill_null("").str.contains(r"(?i)https?://\S"))


def _remove_repeated(frame: pl.LazyFrame, value: object, context: Context) -> Split:
    return keep_first(frame, "text", context)


def _lang(frame: pl.LazyFrame, codes: str, context: Context) -> Split:
    import numpy as np
    import polars as pl

    from tools.datasets.text.language import DEFAULT_THRESHOLD, LanguageFilter
    from tools.table.row_files import LARGEST_BUFFER, pieces_of

    language = LanguageFilter(codes, context.lang_threshold or DEFAULT_THRESHOLD)
    texts = pieces_of(frame.select(pl.col("text").cast(pl.String)), LARGEST_BUFFER)
    kept = [np.asarray(language.keep(piece["text"].to_list()), bool) for piece in texts]
    return split_rows(frame, np.concatenate(kept))


def _load(frame: pl.LazyFrame, kind: str, context: Context) -> pl.LazyFrame:
    """Read the file of the same name beside each video. Where there is none, text is empty."""
    import polars as pl

    from tools.datasets.operations.caption_files import captions_beside
    from tools.stage.failures import count_kinds
    from tools.table.row_files import map_pieces

    failed: list[MediaError] = []
    rows = 0

    def loaded(table: pl.DataFrame) -> pl.DataFrame:
        nonlocal rows
        found = captions_beside(table["path"].cast(pl.String).to_list(), kind, context.options)
        failed.extend(outcome for outcome in found if isinstance(outcome, MediaError))
        rows += len(found)
        texts = [None if isinstance(outcome, MediaError) else outcome for outcome in found]
        return table.with_columns(pl.Series("text", texts, dtype=pl.String))

    table = map_pieces(frame, loaded, context.scratch_folder)
    if failed:
        note = f"{len(failed)} of {rows} rows have no caption file to read ({count_kinds(failed)})"
        context.notes.append(f"--load-caption: {note}")
        context.failures += failed
    return table


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}, not {text}")
        return text

    return parse


def _refine(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    from tools.datasets.text.prefixes import refine_captions

    return _edit(frame, refine_captions, context)


def _clean(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    from tools.datasets.text.cleaning import clean_captions

    return _edit(frame, clean_captions, context)


def _edit(frame: pl.LazyFrame, function: Callable[[list[str]], list[str]], context: Context) -> pl.LazyFrame:
    import polars as pl

    return _from_text(frame, function, "text", pl.String, context.options.num_workers, context)


def _from_text(
    frame: pl.LazyFrame,
    function: BatchFunction,
    column: str,
    dtype: type[pl.DataType],
    workers: int,
    context: Context,
) -> pl.LazyFrame:
    """Set a column to what a function makes of the texts."""
    import polars as pl

    from tools.datasets.text.parallel import map_texts
    from tools.table.row_files import map_pieces

    def changed(table: pl.DataFrame) -> pl.DataFrame:
        made = map_texts(function, table["text"], num_workers=workers)
        return table.with_columns(pl.Series(column, made, dtype=dtype))

    return map_pieces(frame, changed, context.scratch_folder)


def _append(frame: pl.LazyFrame, text: str, context: Context) -> pl.LazyFrame:
    import polars as pl

    return frame.with_columns(text=_followed_by(pl.lit(text)))


def _followed_by(words: pl.Expr) -> pl.Expr:
    """Captions with more at their end; an empty one stays empty, or the words would be all of it."""
    import polars as pl

    return pl.when(is_empty("text")).then("text").otherwise(pl.col("text") + words)


def _count_tokens(frame: pl.LazyFrame, model: str, context: Context) -> pl.LazyFrame:
    import polars as pl

    from tools.datasets.text.tokens import TokenCounter

    # One process: the tokenizer has threads of its own.
    return _from_text(frame, TokenCounter(model).count, "text_len", pl.Int64, 0, context)


_MOVES = ("static", "pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out")
_MOVES += ("roll_cw", "roll_ccw", "shake")
_SPOKEN = {"roll_cw": "roll clockwise", "roll_ccw": "roll counterclockwise"}


def _merge_cmotion(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    """Say the camera motion at the end of the caption; labels that say nothing add nothing."""
    import polars as pl

    labels = frame.select("cmotion").unique().collect(engine="streaming")["cmotion"].to_list()
    said = {label: _say_motion(label) for label in labels if label is not None}
    silent = sorted(label for label, words in said.items() if words is None)
    if silent:
        context.notes.append(f"--merge-cmotion: nothing is said of {', '.join(map(repr, silent))}")
    sentence = pl.col("cmotion").replace_strict(said, default=None, return_dtype=pl.String)
    there = pl.col("text").str.ends_with(sentence).fill_null(True)
    return frame.with_columns(text=pl.when(there).then("text").otherwise(_followed_by(sentence)))


def _say_motion(label: str) -> str | None:
    moves = [move.strip().lower().replace(" ", "_") for move in label.split("+")]
    if not all(move in _MOVES for move in moves):
        return None
    return f" Camera motion: {' and '.join(_SPOKEN.get(move, move.replace('_', ' ')) for move in moves)}."


_SAID_SCORES = {"aes": "aesthetic score", "flow": "motion score"}
_LEFT_OUT = 0.2  # of the scores, so that a model learns to do without


def _score_to_text(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    """Say the scores at the end of the caption, each of them in four rows of five."""
    import polars as pl

    from tools.table import numeric, require_columns

    present = frame.collect_schema()
    columns = [name for name in _SAID_SCORES if name in present]
    if not columns:
        require_columns(frame, _SAID_SCORES, f"{context.source}: --score-to-text")
    said = []
    for name in columns:
        drawn = pl.col("path").map_batches(
            lambda paths, name=name: _draws(paths, context.seed, name), pl.Float64, is_elementwise=True
        )
        score = numeric(name).map_elements(lambda x, name=name: f"{_SAID_SCORES[name]}: {x:.1f}", pl.String)
        said.append(pl.when(drawn >= _LEFT_OUT).then(score))
    words = pl.concat_str(said, separator=", ", ignore_nulls=True)
    return frame.with_columns(
        text=pl.when(words == "").then("text").otherwise(_followed_by(" [" + words + "]"))
    )


def _draws(paths: pl.Series, seed: int, name: str) -> pl.Series:
    """A random number from 0 to 1 for each row that depends on the row alone, not on its neighbours."""
    import hashlib

    import polars as pl

    key = str(seed).encode()[:64]
    digests = (
        hashlib.blake2b(f"{name} {path}".encode(errors="replace"), digest_size=4, key=key).digest()
        for path in paths
    )
    return pl.Series([int.from_bytes(digest, "big") / 2**32 for digest in digests], dtype=pl.Float64)


OPERATIONS = (
    Operation(
        "load_caption",
        "set text from the file beside path",
        _load,
        Phase.CAPTION_FILES,
        "_load{}",
        parse=_choice("json", "txt"),
        metavar="json|txt",
        requires=("path",),
        adds=("text",),
        opens_files=True,
        details="'caption' of <stem>.json, or <stem>.txt",
        everyday=False,
    ),
    Operation(
        "remove_empty_caption",
        "keep rows with a text",
        _remove_empty,
        Phase.EMPTY_CELLS,
        "_noempty",
        requires=("text",),
        aliases=("text_filter_empty",),
        again=Phase.EMPTIED,
        details="once more after edits of text",
    ),
    Operation(
        "caption_ok",
        "keep rows that passed caption_checks",
        _caption_ok,
        Phase.CELLS,
        "_capok",
        requires=("caption_flags",),
    ),
    Operation(
        "remove_url",
        "keep rows without a URL in text",
        _remove_url,
        Phase.CELLS,
        "_nourl",
        requires=("text",),
        aliases=("text_filter_url",),
        everyday=False,
    ),
    Operation(
        "lang",
        "keep rows in this language, or in any of en,fr",
        _lang,
        Phase.COSTLY,
        "_{}",
        parse=str,
        metavar="CODE",
        requires=("text",),
        details="by their text, see --lang-threshold",
    ),
    Operation(
        "remove_text_duplication",
        "of rows with the same text, keep the first",
        _remove_repeated,
        Phase.REPEATED_TEXTS,
        "_noduptext",
        requires=("text",),
        aliases=("text_dedup",),
        details="after sorting, so the best when sorted by a score",
        takes_lists=True,
    ),
    Operation(
        "refine_llm_caption",
        "remove openings such as 'The video shows'",
        _refine,
        Phase.CAPTIONS,
        "_llm",
        requires=("text",),
        adds=("text",),
        aliases=("text_remove_prefix",),
    ),
    Operation(
        "clean_caption",
        "clean text as for T5",
        _clean,
        Phase.CAPTIONS,
        "_clean",
        requires=("text",),
        adds=("text",),
        aliases=("text_refine_t5",),
        details="lower case, no URLs, HTML, file names, ids, sizes",
    ),
    Operation(
        "merge_cmotion",
        "append the camera motion (cmotion) to text",
        _merge_cmotion,
        Phase.CAPTIONS,
        "_cmcaption",
        requires=("text", "cmotion"),
        adds=("text",),
        details="' Camera motion: pan left.'",
        everyday=False,
    ),
    Operation(
        "append_text",
        "append TEXT to text, without a space",
        _append,
        Phase.CAPTIONS,
        "_appendtext",
        parse=str,
        metavar="TEXT",
        requires=("text",),
        adds=("text",),
        aliases=("text_append",),
        everyday=False,
    ),
    Operation(
        "score_to_text",
        "append ' [aesthetic score: 5.5, motion score: 3.1]' to text, each score in four rows of five",
        _score_to_text,
        Phase.CAPTIONS,
        "_score2text",
        requires=("path", "text"),
        adds=("text",),
        everyday=False,
    ),
    Operation(
        "count_num_token",
        "add text_len, the number of tokens of text",
        _count_tokens,
        Phase.TOKENS,
        "_ntoken",
        parse=str,
        metavar="MODEL",
        requires=("text",),
        adds=("text_len",),
        details="with those that MODEL adds: a folder, a name on the Hugging Face Hub, or t5",
    ),
)
