"""Formats that no trainer is tied to: they take every clip as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from tools.datasets.sources.videofolder import split_of, split_of_name
from tools.export import models
from tools.export.layouts import samples, shards, tables
from tools.export.models import Model
from tools.export.trainers.base import Captions, Rule, Setup, Table, Trainer
from tools.export.trainers.judgement import Bucket, Clip, Judgement, Piece, Reason


class Neutral(Trainer):
    """A format that takes every clip whole."""

    models = (models.ANY,)
    extensions = (".mp4", ".mov", ".mkv", ".avi", ".webm")
    any_case = True
    recursive = True
    drops = "nothing"
    speed = "unchanged"

    def setup(self, model: Model, **settings: Any) -> Setup:
        """Nothing is asked for."""
        settings.setdefault("frames", ())
        return super().setup(model, **settings)

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The clip, whole."""
        del setup
        shape = Bucket(clip.width, clip.height, clip.num_frames)
        return Judgement((Piece(shape, 0, clip.num_frames - 1, clip.num_frames),))


class VideoFolder(Neutral):
    """VideoFolder of Hugging Face datasets, which the viewer of the Hub shows.

    Splits are found as in `data_files.py` of datasets 5.2: by names of folders, else by names of files, where
    one of them has ``train``, ``val``, ``test`` or the like as a word in it; files of no split are left out.
    Only where there are none, all files are one split.
    """

    name = "videofolder"
    rule = Rule("huggingface/datasets", "", "", ("https://huggingface.co/docs/hub/datasets-video",))
    captions = Captions(
        table=Table(("file_name", "video_file_name"), ("caption", "text", "prompt")), required=False
    )
    layout_class = tables.VideoFolder
    layout = "files and `metadata.csv`, `.jsonl` or `.parquet` with `file_name`"
    drops = "**files whose folder is not called `train`, `val`, `test` …, where there is such a folder**"

    def reads(self, names: Iterable[str]) -> list[str]:
        """Those that are in a split, if there are splits."""
        every = list(names)
        for split in (split_of, split_of_name):
            if any(split(name) for name in every):
                return super().reads(name for name in every if split(name))
        return super().reads(every)


class WebDataset(Neutral):
    """Tar files of WebDataset."""

    name = "webdataset"
    rule = Rule("webdataset/webdataset", "", "", ("README.md",))
    layout_class = shards.WebDataset
    layout = "tar files of `KEY.mp4`, `KEY.txt`, `KEY.json`"

    def judge(self, clip: Clip, setup: Setup) -> Judgement:
        """The clip, whole; the key of a sample ends at the first dot of its name."""
        judgement = super().judge(clip, setup)
        name = PurePosixPath(clip.name).name
        if "." not in PurePosixPath(name).stem:
            return judgement
        text = f"the key of {name} ends at its first dot, so files of other clips may join it"
        return Judgement(judgement.pieces, warnings=(Reason("dot in the name", text, "a name without dots"),))


class MDS(Neutral):
    """Shards of MosaicML Streaming."""

    name = "mds"
    rule = Rule("mosaicml/streaming", "", "", ("https://docs.mosaicml.com/projects/streaming",))
    layout_class = samples.MDS
    layout = "`index.json` and `shard.00000.mds`"


class LitData(Neutral):
    """Chunks of LitData."""

    name = "litdata"
    rule = Rule("Lightning-AI/litData", "", "", ("README.md",))
    layout_class = samples.LitData
    layout = "`index.json` and `chunk-*.bin`"


class Lance(Neutral):
    """A table of Lance, with the files as blobs."""

    name = "lance"
    rule = Rule("lancedb/lance", "", "", ("https://lancedb.github.io/lance/blob.html",))
    layout_class = shards.Lance
    layout = "one table, files in a column of blobs"
