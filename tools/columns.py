"""The vocabulary of the tables: every column name that a command of the toolkit writes or reads.

It imports none of the packages, so that a command line can be built from it at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    PolarsType = pl.DataType | type[pl.DataType]


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    Attributes:
        kind: Name of its Polars type in typed formats (Parquet, JSON Lines); a CSV has text.
        meaning: What a cell says, with its unit.
        made_by: The command that adds it, as typed after ``python -m``; empty when it is the user's own.
        score: It is a number that rows are chosen by: datautil gets ``--<name>min`` and ``--<name>max``.
        filter: How else rows are chosen by it in datautil: ``bounds`` as by a score; ``values`` by
            ``--<name> VALUE,...``; or not at all but with ``--where``.
        measured_on: What a cell would have to be measured on again, were it another one: the ``file`` at
            path; the ``clip``, as a piece of its source; the ``caption`` alone; or nothing but the row of
            the ``table``.
    """

    kind: str
    meaning: str
    made_by: str = ""
    score: bool = False
    filter: str = ""
    measured_on: str = "file"

    @property
    def dtype(self) -> type[pl.DataType]:
        """Its Polars type."""
        import polars as pl

        return getattr(pl, self.kind)


def polars_type(kind: str | PolarsType) -> PolarsType:
    """The Polars type of that name; a type is returned as it is."""
    import polars as pl

    return getattr(pl, kind) if isinstance(kind, str) else kind


_CONVERT = "tools.datasets.convert"
INFO = "tools.datasets.datautil META --info"
_CUT = "tools.scene_cut.cut"
_TRANSFORM = "tools.datasets.transform"
_FRAMES = "tools.datasets.transform vid_frame_extract"
_FLOW = "tools.scoring.optical_flow.inference"
_TECHNICAL = "tools.scoring.technical.inference"
_EMSCORE = "tools.scoring.emscore.inference"
_AUDIO = "tools.scoring.audio_similarity.inference"
_DEDUP = "tools.scoring.dedup.inference"
_CMOTION = "tools.caption.camera_motion_detect"
_INTEGRITY = "tools.datasets.check_integrity"
_RATE = "tools.datasets.rate"

_QUALITIES = {
    f"quality_{pair}": Column(
        "Float64", f"CLIP-IQA of the pair {pair}, 0 to 1", "tools.scoring.quality.inference", score=True
    )
    for pair in (
        "brightness",
        "noisiness",
        "colorfullness",
        "sharpness",
        "contrast",
        "complexity",
        "natural",
        "happy",
        "scary",
        "new",
        "warm",
        "real",
        "beautiful",
        "lonely",
        "relaxing",
    )
}

_EMSCORES = {"emscore": "the video", "emscore_ref": "its references", "emscore_both": "video and references"}
_EMSCORE_PARTS = ("figr_p", "figr_r", "figr_f", "cogr", "full_p", "full_r")

COLUMNS: dict[str, Column] = {
    "path": Column("String", "the image or video file that the row is about", _CONVERT, measured_on="table"),
    "id": Column("String", "file name without its extension; always text", _CONVERT, measured_on="table"),
    "relpath": Column("String", "path relative to the scanned folder", _CONVERT, measured_on="table"),
    "text": Column("String", "caption, prompt or class name", measured_on="table"),
    "split": Column("String", "train, validation or test, by its folder", _CONVERT, measured_on="table"),
    "shard": Column("String", "the .tar file that the video was in", _CONVERT, measured_on="table"),
    "key": Column("String", "what its sample is called in that shard", _CONVERT, measured_on="table"),
    "num_frames": Column(
        "Int64", "frames as a full decode shows them; 1 for an image, 0 for a broken file", INFO
    ),
    "height": Column("Int64", "displayed height in pixels, rotation applied", INFO),
    "width": Column("Int64", "displayed width in pixels, rotation applied", INFO),
    "aspect_ratio": Column("Float64", "height / width", INFO),
    "fps": Column("Float64", "average frames per second; empty for an image", INFO),
    "resolution": Column("Int64", "height x width in pixels", INFO),
    "duration": Column("Float64", "seconds", INFO),
    "timing": Column(
        "String", "times of the frames: ok, repaired or restarted; empty for an image", INFO, filter="values"
    ),
    "codec": Column("String", "codec of the pictures, or format of the image", INFO, filter="values"),
    "pix_fmt": Column("String", "pixel format, as ffprobe names it", INFO, filter="values"),
    "bit_depth": Column("Int64", "bits of a component of a pixel", INFO, filter="bounds"),
    "color": Column("String", "range/matrix/primaries/transfer, as ffprobe names them", INFO),
    "hdr": Column("String", "sdr, pq, hlg, dolby-vision (no usable base layer)", INFO, filter="values"),
    "rotation": Column("Int64", "degrees clockwise that stored pictures are turned", INFO, filter="bounds"),
    "vfr": Column("Boolean", "whether the intervals between frames differ", INFO, filter="values"),
    "bitrate": Column("Float64", "of the pictures, bits per second", INFO, filter="bounds"),
    "bpp": Column("Float64", "of the pictures, bits per stored pixel", INFO, filter="bounds"),
    "gop": Column("Int64", "most frames from a key frame to the next", INFO, filter="bounds"),
    "size_changes": Column(
        "Int64", "how often the pictures change size or orientation within the file", INFO, filter="bounds"
    ),
    "has_audio": Column("Boolean", "whether there is a sound track", INFO, filter="values"),
    "audio_codec": Column("String", "codec of the sound track that is used", INFO, filter="values"),
    "audio_tracks": Column("Int64", "sound tracks", INFO, filter="bounds"),
    "timestamp": Column(
        "String",
        "shots as JSON [[start, end], ...], half-open, HH:MM:SS.mmm",
        "tools.scene_cut.scene_detect",
    ),
    "boundary": Column(
        "String",
        "how each shot begins and ends as JSON [[edge, cut], [cut, gradual], ...]: cut, gradual (dissolve, "
        "fade), slice (of a long shot), edge (of the video); of a clip, its own pair",
        "tools.scene_cut.scene_detect",
    ),
    "stats": Column(
        "String", "file of what the detector measured", "tools.scene_cut.scene_detect META --stats-dir DIR"
    ),
    "source": Column("String", "the video that a clip was cut from", _CUT, measured_on="clip"),
    "scene": Column("Int64", "index of the clip's shot in its source", _CUT, measured_on="clip"),
    "start": Column("Float64", "start of the clip in its source, seconds", _CUT, measured_on="clip"),
    "end": Column("Float64", "end of the clip in its source, seconds, exclusive", _CUT, measured_on="clip"),
    "start_frame": Column("Int64", "first frame of the clip in its source", _CUT, measured_on="clip"),
    "end_frame": Column(
        "Int64", "one past the last frame of the clip in its source", _CUT, measured_on="clip"
    ),
    "mode": Column("String", "how the clip was cut: exact, copy, smart", _CUT, measured_on="clip"),
    "copied_seconds": Column(
        "Float64", "seconds of the clip that were not encoded", _CUT, measured_on="clip"
    ),
    "snap_start": Column(
        "Float64", "seconds that the clip begins before its scene", _CUT, measured_on="clip"
    ),
    "snap_end": Column("Float64", "seconds that the clip ends after its scene", _CUT, measured_on="clip"),
    "original_path": Column("String", "the file that path was made from", _TRANSFORM),
    "first_frame_path": Column("String", "the first frame as an image", "tools.datasets.save_first_frame"),
    "dropped_streams": Column("String", "tracks that were left behind", _TRANSFORM),
    "frame": Column("Int64", "number of the frame in its source, from 0", _FRAMES, measured_on="clip"),
    "time": Column("Float64", "seconds since the first frame of its source", _FRAMES, measured_on="clip"),
    "point": Column("Float64", "requested position in its source, 0 to 1", _FRAMES, measured_on="clip"),
    "intact": Column("Boolean", "whether everything in the file decodes", _INTEGRITY),
    "broken_at": Column("Float64", "seconds from the first frame to the first damage", _INTEGRITY),
    "broken_frames": Column("Int64", "frames that are missing or damaged", _INTEGRITY),
    "decoded_frames": Column("Int64", "frames that the decoder gave, whole or not", _INTEGRITY),
    "broken_reason": Column("String", "what is wrong with the file", _INTEGRITY),
    "bucket": Column("String", "training bucket: resolution, frames, aspect ratio", "tools.datasets.split"),
    "rejected_by": Column(
        "String",
        "flag that removed the row",
        "tools.datasets.datautil META --rejected FILE",
        measured_on="table",
    ),
    "filesize": Column("Float64", "size of the file in MiB", "tools.datasets.datautil META --filesize"),
    "text_len": Column(
        "Int64", "tokens of text", "tools.datasets.datautil META --count-num-token", measured_on="caption"
    ),
    "aes": Column(
        "Float64", "LAION aesthetic score, about 1 to 10", "tools.scoring.aesthetic.inference", score=True
    ),
    "flow": Column(
        "Float64", "mean of |u| and |v|, frames 0, 10, 20, 30, pixels of 320 x 576", _FLOW, score=True
    ),
    "motion": Column(
        "Float64", "mean speed of what is seen, diagonals of the frame per second", _FLOW, score=True
    ),
    "motion_p95": Column(
        "Float64", "speed that 5 % of the picture exceeds, diagonals per second", _FLOW, score=True
    ),
    "motion_camera": Column("Float64", "speed of the camera, diagonals per second", _FLOW, score=True),
    "motion_subject": Column("Float64", "speed of the rest, diagonals per second", _FLOW, score=True),
    "match": Column(
        "Float64", "100 x cosine of image and text features", "tools.scoring.matching.inference", score=True
    ),
    **{
        name: Column("Float64", f"EMScore of caption and {other}, -1 to 1", _EMSCORE, score=True)
        for name, other in _EMSCORES.items()
    },
    **{
        f"{name}_{part}": Column("Float64", f"{part} of {name}", f"{_EMSCORE} META --metrics")
        for name in _EMSCORES
        for part in _EMSCORE_PARTS
    },
    "audio_match": Column("Float64", "similarity of the sound with what audio_mode says", _AUDIO, score=True),
    "audio_mode": Column("String", "what was compared: clap, labels, audio_caption, compat", _AUDIO),
    "av_offset": Column("Float64", "seconds from the first frame to the first sample", _AUDIO, score=True),
    "audio_level": Column("Float64", "loudness of the sound, RMS in dBFS", _AUDIO, score=True),
    "frame_details": Column("String", "scores of each frame, JSON", f"{_EMSCORE} META --return-all-frames"),
    "ocr": Column(
        "Int64", "regions of text, the most of any frame", "tools.scoring.ocr.inference", score=True
    ),
    "ocr_area": Column(
        "Float64", "part of the frame covered by text, 0 to 1", "tools.scoring.ocr.inference", score=True
    ),
    "ocr_text": Column(
        "String", "what the frame with the most text says", "tools.scoring.ocr.inference META --text"
    ),
    "quality": Column("Float64", "CLIP-IQA, 0 to 1", "tools.scoring.quality.inference", score=True),
    **_QUALITIES,
    "sharpness": Column("Float64", "variance of the Laplacian at 360 lines", _TECHNICAL, score=True),
    "luminance": Column("Float64", "mean luma, 0 to 255", _TECHNICAL, score=True),
    "contrast": Column("Float64", "standard deviation of luma", _TECHNICAL, score=True),
    "colorfulness": Column("Float64", "Hasler and Süsstrunk; 0 is grey", _TECHNICAL, score=True),
    "blockiness": Column("Float64", "edges on a codec's grid by others; 1 is none", _TECHNICAL, score=True),
    "upscaled": Column("Float64", "times the picture seems enlarged; 1 is not", _TECHNICAL, score=True),
    "black_bars": Column("Float64", "share of the frame in black bars", _TECHNICAL, score=True),
    "crop": Column("String", "the picture inside black bars, w:h:x:y", _TECHNICAL),
    "interlaced": Column("Float64", "share of frames whose fields differ in time", _TECHNICAL, score=True),
    "static_ratio": Column("Float64", "share of the time the picture stands", _TECHNICAL, score=True),
    "true_fps": Column("Float64", "new pictures per second where it moves", _TECHNICAL, score=True),
    "fade": Column("Float64", "share of frames that are black, fade or dissolve", _TECHNICAL, score=True),
    "logo": Column("Float64", "confidence of a static overlay, 0 to 1", _TECHNICAL, score=True),
    "niqe": Column("Float64", "unnaturalness; less is better", _TECHNICAL, score=True),
    "dup_of": Column("String", "path of the kept row that this one duplicates; empty: it is kept", _DEDUP),
    "dup_score": Column("Float64", "similarity to it, 0 to 1", _DEDUP, score=True),
    "suitability": Column(
        "Float64", "rating predicted: 1 to 5, or 0 to 1 if all said keep or reject", _RATE, score=True
    ),
    "suitability_std": Column(
        "Float64", "how much suitability changes with which clips were rated", _RATE, filter="bounds"
    ),
    "text_finish": Column(
        "String", "why the model stopped: stop, length", "tools.caption.caption_api", measured_on="caption"
    ),
    "caption_flags": Column(
        "String",
        "what is wrong with text, joined by +; empty: nothing",
        "tools.caption.caption_checks",
        measured_on="caption",
    ),
    "objects": Column(
        "String",
        "objects named in text, joined by commas; NONE",
        "tools.caption.tag META --key objects",
        measured_on="caption",
    ),
    "actions": Column(
        "String",
        "actions named in text, joined by commas; NONE",
        "tools.caption.tag META --key actions",
        measured_on="caption",
    ),
    "cmotion": Column("String", "camera motion labels, joined by +", _CMOTION),
    "pan": Column("Float64", "camera to the right, picture widths per second", _CMOTION),
    "tilt": Column("Float64", "camera upwards, picture heights per second", _CMOTION),
    "zoom": Column("Float64", "what the scale gains in a second", _CMOTION),
    "roll": Column("Float64", "camera clockwise, radians per second", _CMOTION),
    "shake": Column("Float64", "distance from the smoothed path, of the shorter side", _CMOTION),
}

_FAMILIES = (
    "quality_",
    "emscore_",
)  # a prompt of the user's own, another reduction: quality_user0, quality_p10


def kinds_of(*names: str) -> dict[str, str]:
    """Columns of the contract with the names of their Polars types, for the columns of a stage."""
    return {name: COLUMNS[name].kind for name in names}


def no_column(name: str, present: Sequence[str]) -> str:
    """Says that a table lacks a column, what may be meant or makes it, and at last the columns it has."""
    maker = COLUMNS[name].made_by if name in COLUMNS else ""
    hint = f"; `python -m {maker}` makes it" if maker else ""
    if name == "path":
        hint += ", or give your own column of files that name"
    if not maker and (close := difflib.get_close_matches(name, present, n=1)):
        hint = f"; did you mean '{close[0]}'?"
    if len(present) == 1 and any(mark in present[0] for mark in ";\t|"):
        hint = "; cells are separated by commas, in .tsv by tabs"
    return f"no column '{name}'{hint} (it has: {', '.join(present)})"


def measured_on(names: Sequence[str], *what: str) -> list[str]:
    """Those columns whose values are true of this file, clip or caption alone, and of no other.

    Args:
        names: Columns of a table. Those that are not of the contract are the user's own.
        what: ``file``, ``clip``, ``caption``, ``table``: values of `Column.measured_on`.
    """
    known = {name: COLUMNS[name].measured_on for name in names if name in COLUMNS}
    known |= {name: "file" for name in names if name not in known and name.startswith(_FAMILIES)}
    return [name for name in names if known.get(name) in what]


SIZE = ("height", "width", "aspect_ratio", "resolution")
"""What the rows say of the size of a picture or video that a stage has made."""
MADE_VIDEO = ("num_frames", *SIZE, "fps", "duration")
"""What they say of a clip, or of a picture taken from a video."""
ROW_COLUMN = "_row"
"""In a part table: number of the row in the input table."""
PART_COLUMN = "_part"
"""In a part table: ``r/W``, the rank that wrote it and how many there were."""
