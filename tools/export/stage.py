"""Making the files of an export as a stage: one row of a source in, one row for each of its files out."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tools.base.disk import copy_file
from tools.columns import MADE_VIDEO, kinds_of, measured_on
from tools.datasets.transforms.folder_stage import FolderStage
from tools.datasets.transforms.targets import TARGET
from tools.errors import MediaError, UserError
from tools.media.writing.hdr import HDR_OPTION, check_hdr
from tools.media.writing.settings import check_encoding
from tools.options import option, option_field
from tools.options.values import Number, Text
from tools.stage.names.file_stems import with_stem
from tools.stage.names.new_files import is_same_file
from tools.stage.stage import FAILURES, MADE_FILES, ORIGIN, Row, origin

if TYPE_CHECKING:
    import polars as pl

    from tools.export.encode import Cut
    from tools.media.reading.frames import Frame

PIECES = "_pieces"
"""Column that the stage plans: the files of a row, as JSON."""

_DECIMALS = 6
_WINDOW = re.compile(r"(.+)_w\d{3,}")


@dataclasses.dataclass
class ExportStage(FolderStage):
    """Write the files that were planned for each row of a table; see `plan_files`.

    Attributes:
        workers: Worker processes that will run side by side.
        threads: Threads of each.
    """

    name = "export"
    suffix = "_export"
    rows_changed = "with other frames, sizes, pieces or splits, or from files that have changed since"
    optional_columns = (TARGET, PIECES)
    output_columns = {"rows": "List", FAILURES: "List", MADE_FILES: "List"}
    one_to_many = True
    row_columns = kinds_of(
        "path",
        "id",
        "relpath",
        "source",
        *MADE_VIDEO,
        "has_audio",
    )

    codec: str = option("h264", "encoding: h264, hevc, av1, vp9, or an encoder", Text("NAME"), everyday=False)
    crf: float | None = option(
        None, "quality, lower is better", Number(metavar="Q"), shown="h264: 18", none=True
    )
    preset: str | None = option(
        None, "speed of the encoder", Text("NAME"), shown="h264: veryfast", none=True, everyday=False
    )
    hdr: str | None = option_field(None, HDR_OPTION)
    workers: int = 1
    threads: int = 1

    def configure(self) -> None:
        """Check the options of the encoder."""
        super().configure()
        check_encoding(self.codec, self.crf, self.preset)
        check_hdr(self.hdr, self.codec)
        self._targets: list[str | None] = []
        self._pieces: list[list[Cut | None]] = []
        self._check: Callable[[list[str | None]], object] | None = None

    def plan_files(
        self,
        targets: Sequence[str | None],
        pieces: Sequence[Sequence[Cut | None]],
        check: Callable[[list[str | None]], object] | None = None,
    ) -> None:
        """Say which files are made, before the run.

        Args:
            targets: For each row of the table the path of its file below `output_dir`; None for none.
            pieces: For each row what its files show, None for the source as it is. Several files of a row
                are numbered: ``a_w001.mp4``.
            check: Called with the paths that rows got in the end, before a file is made; may raise UserError.
        """
        self._check = check
        self._targets = list(targets)
        self._pieces = [list(cuts) for cuts in pieces]

    @property
    def targets(self) -> list[str | None]:
        """The paths that rows got in the end, once the run has begun; see `claim`."""
        return list(self._targets)

    def plan(self, table: pl.DataFrame) -> pl.DataFrame:
        """Put the planned files beside the rows, and choose the threads of each worker."""
        import polars as pl

        from tools.media.workers.pool import threads_each

        if len(self._targets) != table.height:
            raise UserError("the table has changed while it was read; run it again")
        self.threads = threads_each(self.workers, table.height)
        cells = [json.dumps([_as_json(cut) for cut in cuts]) for cuts in self._pieces]
        return self._with_targets(
            table.with_columns(pl.Series(PIECES, cells, dtype=pl.String)), self._targets
        )

    def _with_targets(self, table: pl.DataFrame, targets: list[str | None]) -> pl.DataFrame:
        self._targets = list(targets)
        return super()._with_targets(table, targets)

    def claim(self, table: pl.DataFrame, output: Path) -> pl.DataFrame:
        """Choose names that no other table has taken, and the threads with which this one was begun."""
        claimed = super().claim(table, output)
        assert self._names is not None, "they were just chosen"
        self.threads = self._names.kept_threads(self.threads)
        return claimed

    def setup(self) -> None:
        """Make sure that the folder can be written and the encoder works."""
        from tools.media.writing.codecs import check_encoder, find_codec

        if self._check is not None:
            self._check(self.targets)
        super().setup()
        if any(cut for cuts in self._pieces for cut in cuts):
            check_encoder(find_codec(self.codec), crf=self.crf, preset=self.preset)

    def stale_columns(self, columns: Sequence[str]) -> list[str]:
        """What was measured on the source."""
        return measured_on(columns, "file")

    def prepare(self, row: Row, frames: list[Frame]) -> dict[str, Any]:
        """Make the files of a row."""
        cuts = [_cut(piece) for piece in json.loads(row[PIECES])]
        rows, made, failures = [], [], []
        for number, cut in enumerate(cuts, 1):
            name = window_name(row[TARGET], number, len(cuts))
            try:
                if cut is None:  # one that cannot be read is not brought into the folder
                    values = self._values(row, name, row["path"])
                    path = self._write(row, name, cut)
                else:
                    path = self._write(row, name, cut)
                    values = self._values(row, name, path)
                rows.append({"path": str(path), "id": path.stem, **values})
            except MediaError as error:  # of one piece; the others may be whole
                failures.append(error)
                continue
            made.append(path)
        if failures and not rows:
            raise failures[0]
        return {
            "rows": rows,
            FAILURES: [[error.kind, error.message] for error in failures],
            **self.made(*made),
        }

    def _write(self, row: Row, name: str, cut: Cut | None) -> Path:
        path = self.target_path({**row, TARGET: name})
        if cut is None and is_same_file(path, row["path"]):
            return path  # linked by a run that was killed then
        try:
            with self.new_file(path, row) as new:
                if cut is None and ORIGIN in row:  # a temporary copy, or one of a cache
                    copy_file(row["path"], new)
                elif cut is None:
                    _link(row["path"], new)
                else:
                    from tools.export.encode import Encoding, write_piece

                    how = Encoding(self.codec, self.crf, self.preset, self.hdr, self.threads)
                    write_piece(row["path"], new, cut, how)
        except MediaError as error:  # the file that the row is about is the source, not a temporary name
            raise MediaError(error.kind, row["path"], error.message) from None
        return path

    def _values(self, row: Row, name: str, path: Path | str) -> dict[str, Any]:
        """What the table says of a file, by the file itself or by the source that it is a copy of."""
        from tools.media.reading.probe import index_packets, media_info

        info = media_info(index_packets(path))
        return {
            "relpath": name,
            "source": origin(row),
            "num_frames": info.num_frames,
            "height": info.height,
            "width": info.width,
            "aspect_ratio": info.height / info.width,
            "resolution": info.height * info.width,
            "fps": info.fps,
            "duration": round(info.duration, _DECIMALS),
            "has_audio": info.has_audio,
        }

    def is_own(self, name: str, targets: set[str]) -> bool:
        """Whether a file of this name is one of the files of some targets (names without folders)."""
        found = _WINDOW.fullmatch(PurePosixPath(name).stem)
        return name in targets or bool(found and f"{found[1]}{PurePosixPath(name).suffix}" in targets)


def window_name(target: str, number: int, count: int) -> str:
    """The path of a file, of several of one row with its number from 1 on."""
    return with_stem(target, lambda stem: f"{stem}_w{number:03}") if count > 1 else target


def _link(source: str, new: Path) -> None:
    """Make a hard link, or a copy where the file system has none between the two."""
    try:
        found = os.path.realpath(source, strict=True)
        new.unlink()
        os.link(found, new)
    except FileNotFoundError:
        raise MediaError("missing", source, "there is no such file") from None
    except OSError:  # another disk, or no right to link it
        copy_file(source, new)


def _as_json(cut: Cut | None) -> dict[str, Any] | None:
    return None if cut is None else {**dataclasses.asdict(cut), "fps": str(cut.fps) if cut.fps else None}


def _cut(piece: dict[str, Any] | None) -> Cut | None:
    from tools.export.encode import Cut

    if piece is None:
        return None
    fps, box = piece["fps"], piece["box"]
    return Cut(
        **{
            **piece,
            "fps": Fraction(fps) if fps else None,
            "box": None if box is None else (box[0], box[1], box[2], box[3]),
        }
    )
