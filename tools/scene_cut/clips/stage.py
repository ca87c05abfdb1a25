"""Cutting as a stage: one row of a source in, one row for each of its clips out."""

from __future__ import annotations

import dataclasses
import json
import posixpath
import zlib
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tools.base.addresses import refuse_address
from tools.base.disk import make_folder, writing
from tools.base.terminal import counted
from tools.columns import MADE_VIDEO, kinds_of, measured_on
from tools.errors import MediaError
from tools.media.writing.codecs import check_encoder, find_codec
from tools.media.writing.output_files import remove_unfinished
from tools.options import option, options_field
from tools.options.values import Text
from tools.scene_cut.clips.names import TABLES, clip_folder, clip_source
from tools.scene_cut.clips.options import CutOptions
from tools.stage.ledger import digest
from tools.stage.names.file_stems import file_stems, tell_apart
from tools.stage.names.folder_tables import remember_table
from tools.stage.names.owners import FileNames, NameRequest, names_of_others
from tools.stage.shards import current_shard
from tools.stage.stage import MADE_FILES, ORIGIN, REMARKS, Row, Stage

if TYPE_CHECKING:
    import polars as pl

    from tools.media.reading.frames import Frame

_STEM = "_clip_stem"
_WHOLE = "whole"  # represents the one scene of a table without scenes
_ONLY_LEAVE_OUT = ("min_seconds",)  # options by which a cut has fewer clips, and no others


@dataclasses.dataclass
class CutStage(Stage):
    """Cut the scenes of column timestamp (or whole files) into clips, one output row for each clip.

    Attributes:
        workers: Worker processes that will run side by side; decides how many threads each may use.
    """

    name = "cut"
    suffix = "_clips"
    version = 2
    optional_columns = ("timestamp", "boundary", "relpath", _STEM)
    output_columns = {"rows": "List", "failures": "List", REMARKS: "List", MADE_FILES: "List"}
    one_to_many = True
    row_columns = kinds_of(
        "path",
        "id",
        "relpath",
        "source",
        "scene",
        "start",
        "end",
        "start_frame",
        "end_frame",
        *MADE_VIDEO,
        "has_audio",
        "mode",
        "copied_seconds",
        "snap_start",
        "snap_end",
    )

    save_dir: str = option("", "folder of the clips", Text("DIR"), required=True)
    options: CutOptions = options_field(CutOptions)
    workers: int = 1

    def configure(self) -> None:
        """Check the options, and set what follows from them."""
        refuse_address(self.save_dir)
        self._own: set[tuple[str | None, str]] = set()
        self._stems: dict[tuple[str | None, str], bool] = {}
        self._names: FileNames | None = None
        self._began = False
        self.output: Path | None = None  # the table that the clips are of
        self._counts: dict[str, Any] = {
            "skipped": 0,
            "left": 0.0,
            "notes": {},
            "hdr": {},
            "mixed": 0,
            "frames": 0,
            "copied": 0,
            "renamed": 0,
        }

    def config(self) -> dict[str, Any]:
        """What changes the clips or their paths."""
        return {"save_dir": self.save_dir, **self.options.config()}

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the source is not true of a clip; measure the clips instead."""
        return measured_on(columns, "file")

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Choose the stems of all clips by the whole table, and the threads by how many files there are."""
        from tools.media.workers.pool import threads_each

        threads = threads_each(self.workers, table.height)
        self.options = dataclasses.replace(self.options, threads=threads)
        if "boundary" in table.columns:
            self.row_columns = {**self.row_columns, "boundary": "String"}
        stems = file_stems(*_paths(table))
        return self._with_stems(table, stems)

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose names that no other table uses there for clips of other sources or other cuts."""
        import polars as pl

        paths, relpaths = _paths(table)
        cells = table["timestamp"].cast(pl.String).to_list() if "timestamp" in table.columns else None
        config = self.options.config()
        how = digest({name: value for name, value in config.items() if name not in _ONLY_LEAVE_OUT})
        stems = table[_STEM].to_list()
        requests: list[NameRequest | None] = []
        for row, stem in enumerate(stems):
            scenes = _scene_marks(cells[row]) if cells else [_WHOLE]
            name = _name(relpaths[row] if relpaths else None, stem)
            path = paths[row]
            requests.append(NameRequest(name, path, (how, *scenes)) if stem and path else None)
        self.output = output
        self._names = FileNames(self.save_dir, output, listed=TABLES)
        chosen = self._names.choose(requests, _with_digits)
        threads = self._names.kept_threads(self.options.threads)
        self.options = dataclasses.replace(self.options, threads=threads)
        self._counts["renamed"] = sum(map(bool, chosen))
        named = zip(stems, chosen, strict=True)
        return self._with_stems(
            table, ["" if digits is None else tell_apart(stem, digits) for stem, digits in named]
        )

    def _with_stems(self, table: pl.DataFrame, stems: list[str]) -> pl.DataFrame:
        import polars as pl

        relpaths = _paths(table)[1] or [None] * len(stems)
        self._own = {(relpaths[row], stems[row]) for row in self.own_rows(table.height)}
        self._stems = {path: path in self._own for path in zip(relpaths, stems, strict=True)}
        return table.with_columns(pl.Series(_STEM, stems, dtype=pl.String))

    def write_under(self, folder: Path) -> None:
        """Write the clips there, where no other table has any."""
        self.save_dir, self.output, self._names = str(folder), None, None

    def setup(self) -> None:
        """Check that the folder can be written and the encoder works, before any file is read."""
        make_folder(self.save_dir, "--save_dir")
        if self.options.mode != "copy":
            self._check_encoder()
        if self._names is not None:
            self._names.reserve()
        self._began = True
        self.remove_leftovers()

    def _check_encoder(self) -> None:
        check = check_encoder
        if self.options.engine == "ffmpeg":
            from tools.media.writing.ffmpeg_cutter import check_ffmpeg_encoder

            check = check_ffmpeg_encoder
        check(find_codec(self.options.codec_for()), crf=self.options.crf, preset=self.options.preset)

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Cut one source."""
        from tools.scene_cut.clips.cutting import cut_clips
        from tools.scene_cut.clips.rows import clip_values

        result = cut_clips(
            row["path"],
            _scenes(row),
            self.save_dir,
            options=self.options,
            stem=row.get(_STEM),
            relpath=row.get("relpath"),
            keep=lambda: self._is_of_others(_name(row.get("relpath"), row[_STEM])),
            source=row.get(ORIGIN),
        )
        if result.failures and not result.clips:
            raise next(iter(result.failures.values()))
        return clip_values(row, result, self.save_dir)

    def score(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Count what the summary reports; the rows are complete."""
        for values in batch:
            counts = values.pop("counts")
            self._counts["skipped"] += counts["skipped"]
            self._counts["left"] += counts["left"]
            self._counts["mixed"] += counts["mixed"]
            for what in ("frames", "copied"):
                self._counts[what] += counts.get(what, 0)  # ledgers of earlier versions have none
            for what in ("notes", "hdr"):
                for text in counts[what]:
                    self._counts[what][text] = self._counts[what].get(text, 0) + 1
        return batch

    def _is_of_others(self, name: str) -> bool:
        """Whether another table has clips of this name, too. Runs in a worker, where a clip exists."""
        return self.output is not None and name in names_of_others(self.save_dir, self.output, TABLES)

    def remove_leftovers(self) -> None:
        """Remove unfinished files of killed workers of this rank's rows, once the run has begun."""
        own: dict[str, set[str]] = {}
        for relpath, stem in self._own if self._began else ():
            own.setdefault(str(PurePosixPath(relpath or "").parent), set()).add(stem)
        for below, stems in own.items():
            with suppress(MediaError):  # nothing was written there
                folder = clip_folder(self.save_dir, f"{below}/clip")
                remove_unfinished(folder, lambda name, stems=stems: clip_source(name) in stems, patience=1)

    def check_earlier_clips(self, output: Path, *, prune: bool) -> list[str]:
        """Find clips of earlier cuts that no table lists, once the table is written.

        Args:
            output: The table of the clips, without a rank's part.
            prune: Remove them.

        Returns:
            Lines for the user.

        Raises:
            UserError: Another table of clips in this folder cannot be read.
        """
        from tools.scene_cut.clips.prune import find_prunable

        stems = {}
        for (relpath, stem), own in self._stems.items():
            with suppress(MediaError):  # nothing was written there
                stems[clip_folder(self.save_dir, relpath).resolve(), stem] = own
        remember_table(Path(self.save_dir, TABLES), output)
        assert self._names is not None, "the names were claimed before"
        found = find_prunable(self.save_dir, output, shard=current_shard(), stems=stems, names=self._names)
        lines = [
            f"{count} more clips in {self.save_dir} are those of {table}; they stay while it is there"
            for table, count in found.others.items()
        ]
        if prune:
            for clip in found.unlisted:
                with writing(clip):
                    clip.unlink(missing_ok=True)
        if found.unlisted:
            what = "removed" if prune else "they stay; --prune removes them"
            lines.append(
                f"{counted(len(found.unlisted), 'clip')} of earlier cuts that no table lists: {what}"
            )
        return lines

    def totals(self) -> list[str]:
        """Lines on what this run left out or converted, in clips, scenes and seconds; see also `REMARKS`."""
        lines = []
        if self._counts["renamed"]:
            what = "sources have clips with digits in their names: another table's have the plain ones"
            lines.append(f"{self._counts['renamed']} {what}")
        if self._counts["skipped"]:
            lines.append(
                f"{self._counts['skipped']} scenes shorter than {self.options.min_seconds:g} s left out"
            )
        if self._counts["left"]:
            lines.append(
                f"{self._counts['left']:.1f} s lie beyond the {self.options.max_seconds:g} s of their clips"
            )
        if self.options.mode == "smart" and (frames := self._counts["frames"]):
            copied = self._counts["copied"]
            lines.append(f"{copied} of {frames} frames copied ({copied / frames:.1%}), the others encoded")
        lines += [
            f"{counted(count, 'clip')} cut exactly instead: {note}"
            for note, count in self._counts["notes"].items()
        ]
        if count := self._counts["mixed"]:
            lines.append(
                f"{counted(count, 'clip')} with pictures of several sizes, the later ones between black bars"
            )
        if count := self._counts["hdr"].get("tonemap"):
            lines.append(
                f"{counted(count, 'clip')} of HDR sources converted to SDR; --hdr keep leaves them HDR"
            )
        if count := self._counts["hdr"].get("keep"):
            lines.append(f"{counted(count, 'clip')} of HDR sources left HDR")
        return lines


def _paths(table: pl.DataFrame) -> tuple[list[str | None], list[str | None] | None]:
    """The columns path and relpath."""
    import polars as pl

    relpaths = table["relpath"].cast(pl.String).to_list() if "relpath" in table.columns else None
    return table["path"].cast(pl.String).to_list(), relpaths


def _name(relpath: str | None, stem: str) -> str:
    """The beginning of the names of a row's clips, below the folder of all clips."""
    return posixpath.normpath(f"{posixpath.dirname(relpath)}/{stem}") if relpath and "/" in relpath else stem


def _with_digits(name: str, digits: str) -> str:
    """A name that clips begin with; it has no extension."""
    below, slash, stem = name.rpartition("/")
    return f"{below}{slash}{tell_apart(stem, digits)}" if digits else name


def _scene_marks(cell: str | None) -> list[str]:
    """A fingerprint of each scene, so that two lists can be compared scene by scene."""
    try:
        scenes = list(json.loads(cell or ""))
    except (ValueError, TypeError):  # written in an older way, or no list at all
        scenes = [cell]
    return [f"{zlib.crc32(repr(scene).encode(errors='surrogatepass')):08x}" for scene in scenes]


def _scenes(row: Row) -> list[tuple[Fraction, Fraction]] | None:
    """The scenes of a row; None, the whole file, in a table without the column timestamp."""
    if "timestamp" not in row:
        return None
    from tools.scene_cut.timestamps import parse_timestamps

    if row["timestamp"] is None:
        raise MediaError("bad_value", row["path"], "the cell of column timestamp is empty")
    try:
        return parse_timestamps(row["timestamp"])
    except ValueError as error:
        raise MediaError("bad_value", row["path"], f"column timestamp: {error}") from None
