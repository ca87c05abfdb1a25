"""EMScore as a stage: columns ``path``, a caption and its references in, a column for each metric out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tools.errors import MediaError, UserError
from tools.media.reading.requests import FrameRequest, Frames
from tools.media.reading.sampling import Sampling
from tools.options import option, option_field
from tools.options.values import Parsed, Text
from tools.scoring.clip_features import CLIPFeatures
from tools.scoring.clip_options import clip_model_option, long_text_option
from tools.scoring.clip_stage import CLIPRow, CLIPStage
from tools.scoring.emscore.cells import cell_texts
from tools.scoring.emscore.idf import Idf, fit_table
from tools.scoring.emscore.metrics import (
    ALL,
    BOTH,
    METRICS,
    REFERENCE,
    SCORE_TYPES,
    VIDEO,
    Metrics,
    chosen_names,
)
from tools.scoring.emscore.options import EMScoreFrames, NamedValues, idf_or_file
from tools.scoring.emscore.scorer import (
    DEFAULT_CLIP,
    Caption,
    best_frames,
    caption_features,
    score_caption,
    score_frames,
    undefined,
)
from tools.scoring.emscore.texts import LONG_TEXT, words
from tools.scoring.matching.scorer import tokenize
from tools.stage.stage import FAILURES, REMARKS, Row

FRAMES = Sampling("count_uniform", 10)
"""The frames that are scored by default: as many as in the paper's VATEX experiments."""

FRAME_DETAILS = "frame_details"
"""Column for the scores of each frame."""

_TYPES = {"video": VIDEO, "reference": REFERENCE, "both": BOTH}
_PREFIXES = {VIDEO: "emscore", REFERENCE: "emscore_ref", BOTH: "emscore_both"}
_DECIMALS = 6


class _Prepared(NamedTuple):
    """What a row has beside its pictures: tokens of its texts; number and time of each frame."""

    caption: Caption
    frames: list[tuple[int, float]]


def column_of(score_type: str, metric: str) -> str:
    """Name of a metric in a table: ``emscore_ref_figr_p``; of full_F, the EMScore itself, ``emscore_ref``."""
    prefix = _PREFIXES[score_type]
    return prefix if metric == "full_F" else f"{prefix}_{metric.lower()}"


@dataclasses.dataclass
class EMScoreStage(CLIPStage):
    """EMScore of each row's caption.

    Without the video in any of the score types, and without details of frames, no file is opened.

    Attributes:
        idf: Weights of the tokens, None for 1 each. A file of them is read when the stage is created.
        vocabulary: That of the CLIP; follows from the weights.

    Raises:
        UserError: Weights or vocabulary are missing or wrong, or an option is.
    """

    name = "emscore"
    suffix = "_emscore"
    required_columns = ("path", "text")
    takes_lists = True
    reads_texts = True
    output_columns = {
        "emscore": "Float64",
        FAILURES: "Object",
        REMARKS: "Object",
    }

    sampling: Sampling = option_field(
        FRAMES, EMScoreFrames("which frames of a video", shown=str(FRAMES.count), limits=True)
    )
    clip_model: str = clip_model_option(DEFAULT_CLIP)
    candidate_column: str = option("text", "captions to judge", Text("NAME"), everyday=False)
    reference_column: str | None = option(
        None,
        "other captions of the same videos, one in a cell or a JSON list",
        Text("NAME"),
        shown="none",
        none=True,
    )
    score_types: tuple[str, ...] | None = option(
        None,
        ", ".join(f"{short}: {name}" for short, name in _TYPES.items()),
        NamedValues(SCORE_TYPES, "TYPE", _TYPES),
        shown="all that the columns allow",
        many=True,
        none=True,
    )
    metrics: tuple[str, ...] | None = option(
        ("full_F",), f"{', '.join(METRICS)}; {ALL}", NamedValues(METRICS, "METRIC"), many=True, none=True
    )
    idf: Idf | None = option(
        None,
        "weights of tokens that tools.scoring.emscore.idf wrote",
        Parsed(idf_or_file, "FILE"),
        shown="1 each",
        none=True,
    )
    idf_corpus: str | None = option(
        None, "count the weights in the captions of a table instead", Text("TABLE"), everyday=False
    )
    idf_column: str | None = option(
        None,
        "captions of the --idf-corpus",
        Text("NAME"),
        shown="the reference column, or that of the captions where there is none",
        everyday=False,
    )
    long_text: str = long_text_option(LONG_TEXT, "split")
    frame_details: bool = option(
        False,
        f"add column {FRAME_DETAILS}: the scores of each frame and the words that it matches best",
        flag="return-all-frames",
        everyday=False,
    )
    vocabulary: Path = dataclasses.field(init=False)
    context_length: int = dataclasses.field(init=False)

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        from tools.models.clip_tokenizer import require_ftfy

        if self.idf_corpus and self.idf:
            raise UserError("--idf and --idf-corpus exclude each other: give one")
        if isinstance(self.idf, (str, Path)):
            self.idf = Idf.load(self.idf)
        if self.idf_column and not self.idf_corpus:
            raise UserError("--idf-column is a column of the --idf-corpus, which is not given")
        self.idf_column = self.idf_column or self.reference_column or self.candidate_column
        self.score_types = self._possible_types()
        self.metrics = chosen_names("metrics", self.metrics, METRICS)
        if self.score_types == (VIDEO,):
            self.reference_column = None
        columns = [column_of(kind, metric) for kind in self.score_types for metric in self.metrics]
        self.output_columns = dict.fromkeys(columns, "Float64")
        self.output_columns |= {FRAME_DETAILS: "String"} if self.frame_details else {}
        self.output_columns |= {FAILURES: "Object", REMARKS: "Object"}
        named = ("path", self.candidate_column, self.reference_column)
        self.required_columns = tuple(dict.fromkeys(name for name in named if name))
        if self.save_embeddings and not self._needs_frames:
            raise UserError("save_embeddings: no score uses the video")
        require_ftfy()
        super().configure()

    def find(self) -> None:
        """Find CLIP and its vocabulary, and count the weights of tokens in a corpus."""
        super().find()
        if self.idf_corpus:
            self.idf = fit_table(self.idf_corpus, str(self.idf_column), self.clip_model, self.clip_config)

    @property
    def request(self) -> FrameRequest:
        """The frames; nothing of the file when only texts are compared."""
        return super().request if self._needs_frames else FrameRequest()

    def config(self) -> dict[str, Any]:
        """What changes the values: that of every CLIP score, the texts, their weights, and what is scored."""
        from tools.models.clip_tokenizer import vocabulary_digest

        return {
            **super().config(),
            "vocabulary": vocabulary_digest(self.vocabulary),
            "candidate": self.candidate_column,
            "reference": self.reference_column,
            "score_types": list(self.score_types or ()),
            "metrics": list(self.metrics or ()),
            "idf": self.idf.digest if self.idf else None,
            "long_text": self.long_text,
            "frame_details": self.frame_details,
        }

    def prepare(self, row: Row, frames: Frames) -> CLIPRow:
        """Crop the frames, of which number and time are kept; without a video there are none to crop."""
        if self._needs_frames:
            ready = super().prepare(row, frames)
        else:
            side = self.image_size
            ready = CLIPRow(np.empty((0, side, side, 3), np.uint8), (), self.prepare_extras(row))
        return ready._replace(extras=_Prepared(ready.extras, [(frame.index, frame.time) for frame in frames]))

    def prepare_extras(self, row: Row) -> Caption:
        """The tokens of the caption and of its references."""
        candidates = self._texts(row, self.candidate_column)
        references = self._texts(row, self.reference_column) if self.reference_column else []
        if not candidates:
            raise _unusable(row, f"the cell of column {self.candidate_column} is empty")
        if not references and VIDEO not in (self.score_types or ()):
            raise _unusable(row, f"the cell of column {self.reference_column} is empty")
        return Caption(
            self._tokens(row, self.candidate_column, candidates[0]),
            tuple(self._tokens(row, str(self.reference_column), text) for text in references),
        )

    def use(self, features: CLIPFeatures) -> None:
        """Take a loaded CLIP; the IDF must be of its vocabulary."""
        from tools.models.clip_tokenizer import load_tokenizer

        super().use(features)
        self._tokenizer = load_tokenizer(self.vocabulary)
        if self.idf is not None:
            self.idf.check(self._tokenizer)

    def score(self, batch: list[CLIPRow]) -> list[dict[str, Any] | MediaError]:
        """Encode pictures and texts of all rows; where only texts are compared, these alone."""
        if self._needs_frames:
            return super().score(batch)
        return list(self.score_features([np.empty((0, 0))] * len(batch), [row.extras for row in batch]))

    def score_features(self, features: list[np.ndarray], extras: list[_Prepared]) -> list[dict[str, Any]]:
        """The metrics of each row."""
        captions = caption_features(self._features.encoder, [own.caption for own in extras], self.idf)
        return [
            self._values(images, own, caption)
            for images, own, caption in zip(features, extras, captions, strict=True)
        ]

    @property
    def _needs_frames(self) -> bool:
        return self.frame_details or bool({VIDEO, BOTH} & set(self.score_types or ()))

    def _possible_types(self) -> tuple[str, ...]:
        if self.reference_column is None and (self.score_types is None or ALL in self.score_types):
            return (VIDEO,)
        chosen = chosen_names("score_types", self.score_types, SCORE_TYPES)
        if self.reference_column is None and chosen != (VIDEO,):
            other = next(name for name in chosen if name != VIDEO)
            raise UserError(f"{other} compares captions with references: name the column of these")
        return chosen

    def _texts(self, row: Row, column: str) -> list[str]:
        cell = row[column]
        try:
            if column == self.reference_column:
                return cell_texts(cell)
            return cell_texts([cell])  # one text, even if it could be parsed as a list
        except ValueError as error:
            raise _unusable(row, f"column {column}: {error}") from None

    def _tokens(self, row: Row, column: str, text: str) -> Any:
        from tools.models.clip_tokenizer import load_tokenizer

        try:
            return tokenize(load_tokenizer(self.vocabulary), text, self.context_length, self.long_text)
        except ValueError as error:
            raise _unusable(row, f"column {column}: {error}") from None

    def _values(self, images: np.ndarray, own: _Prepared, caption: Caption) -> dict[str, Any]:
        kinds, metrics = self.score_types or (), self.metrics or ()
        scores = score_caption(caption, images, kinds)
        values: dict[str, Any] = {
            column_of(kind, metric): _rounded(scores[kind][metric]) if kind in scores else None
            for kind in kinds
            for metric in metrics
        }
        if self.frame_details:
            values[FRAME_DETAILS] = self._details(images, own, caption)
        reasons = [undefined(caption, scores, metrics)]
        if self.reference_column and not caption.references:
            reasons.append(f"no {REFERENCE}: the cell of column {self.reference_column} is empty")
        failures = [["bad_value", reason] for reason in reasons if reason]
        return {**values, FAILURES: failures, REMARKS: self._remarks(own.caption)}

    def _details(self, images: np.ndarray, own: _Prepared, caption: Caption) -> str:
        """For each frame its number, its time, the words that it matches best, and its scores."""
        spelled = best_frames(caption.candidate, images, words(self._tokenizer, own.caption.candidate))
        scores = score_frames(caption, images, self.score_types or ())
        details = [
            {
                "frame_index": index,
                "timestamp": round(time, _DECIMALS),
                "words": best,
                **{kind: self._shown(found) for kind, found in single.items()},
            }
            for (index, time), best, single in zip(own.frames, spelled, scores, strict=True)
        ]
        return json.dumps(details, ensure_ascii=False)

    def _shown(self, found: Metrics) -> Mapping[str, float | None]:
        return {metric: _rounded(found[metric]) for metric in self.metrics or ()}

    def _remarks(self, tokens: Caption) -> list[str]:
        cut = {"caption": [tokens.candidate], "reference": tokens.references}
        return [
            f"{what} longer than the {self.context_length} tokens that CLIP takes, cut there"
            for what, several in cut.items()
            if any(text.cut for text in several)
        ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)


def _unusable(row: Row, message: str) -> MediaError:
    return MediaError("bad_value", row.get("path") or "", message)
