"""Trainers that read clips with a caption file of the same name beside each.

The clips lie in a folder of their own, as diffusion-pipe opens every file of the folder that it is given
but for a few extensions, and finetrainers looks for other formats in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from tools.export.items import Item
from tools.export.layouts.base import Layout, captions_beside, place
from tools.export.layouts.formats import (
    bucket_comments,
    flags_text,
    json_lines,
    json_text,
    literal,
    toml_lines,
)
from tools.export.trainers.base import Setup
from tools.export.trainers.judgement import Bucket

SAME_RATE = 0.01
"""A frame rate is the model's if it differs by less than this share: 23.976 fps are 24."""


class Pairs(Layout):
    """``clips/KEY.mp4`` with ``clips/KEY.txt``."""

    inside = True

    def split_texts(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """Captions, then what the trainer is told."""
        yield from captions_beside(items, split)
        yield from self.settings(items, setup, split, folder)

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The trainer's own configuration."""
        raise NotImplementedError


class DiffusionPipe(Pairs):
    """``dataset.toml`` of tdrussell/diffusion-pipe, as in `examples/dataset.toml`."""

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """Frame buckets are those that clips fill."""
        option = partial(self.trainer.option, setup)
        buckets = self.summary(items, setup, split).buckets
        sizes = option("size_buckets")
        if sizes:
            shape = {"size_buckets": sizes}
        else:
            ratios = option("ar_buckets")
            spread = ("min_ar", "max_ar", "num_ar_buckets")
            shape = {
                "resolutions": setup.sizes,
                "enable_ar_bucket": True,
                **({"ar_buckets": ratios} if ratios else {name: option(name) for name in spread}),
                "frame_buckets": [1, *_filled(setup, buckets)],
            }
        shape["skip_empty_caption"] = option("skip_empty_caption")
        directory = {"path": place(folder, self.root(split)), "num_repeats": option("num_repeats")}
        text = f"{bucket_comments(buckets)}\n{toml_lines(shape)}\n[[directory]]\n{toml_lines(directory)}"
        yield "dataset.toml", text


class Musubi(Pairs):
    """``dataset.toml`` of kohya-ss/musubi-tuner, as in `docs/dataset_config.md`.

    Clips of another frame rate than the model's need `source_fps`, which is one value for a data set: they
    are listed in JSON Lines, one file and one data set for each rate. A slower rate has none, as frames are
    left out but never repeated. Clips of several numbers of frames (`Setup.by_length`) are likewise in a data
    set for each, as in one a clip counts once for every target that it fills.

    Cached latents are found by ``glob.glob`` in `cache_directory`, which is not escaped.
    """

    unfit = "*?["

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """One data set, or one for each frame rate and number of frames."""
        groups = {
            (rate, length): group
            for length, some in self.by_length(items, setup, split).items()
            for rate, group in self._by_rate(some, setup).items()
        }
        rates = {rate for rate, _ in groups}
        datasets = []
        for (rate, length), group in groups.items():
            if len(groups) == 1:
                source = {"video_directory": place(folder, self.root(split))}
                cache = place(folder, split, "cache")
            else:
                name = _data_set_name(rate, length, len(rates) > 1, setup)
                source = {"video_jsonl_file": place(folder, split, f"{name}.jsonl")}
                cache = place(folder, split, f"cache_{name}")
                rows = ({"video_path": place(folder, item.file), "caption": item.caption} for item in group)
                yield f"{name}.jsonl", json_lines(rows)
            frames = self._frames(setup, rate, length)
            datasets.append(toml_lines({**source, "cache_directory": cache, **frames}))
        general = {
            "resolution": setup.sizes[0],
            "caption_extension": ".txt",
            "batch_size": setup.batch_size,
            "enable_bucket": True,
            "bucket_no_upscale": False,
        }
        head = (
            f"{bucket_comments(self.summary(items, setup, split).buckets)}\n[general]\n{toml_lines(general)}"
        )
        yield "dataset.toml", "\n".join([head, *(f"[[datasets]]\n{dataset}" for dataset in datasets)])

    def _frames(self, setup: Setup, rate: float | None, length: int) -> dict[str, object]:
        option = partial(self.trainer.option, setup)
        how = option("frame_extraction")
        targets = [length] if setup.by_length else sorted(set(setup.frames))
        return {
            "target_frames": None if how == "full" else targets,
            "frame_extraction": how,
            "frame_stride": option("frame_stride") if how == "slide" else None,
            "frame_sample": option("frame_sample") if how == "uniform" else None,
            "max_frames": option("max_frames") if how == "full" else None,
            "source_fps": None if rate is None else float(rate),
        }

    def _by_rate(self, items: Sequence[Item], setup: Setup) -> dict[float | None, list[Item]]:
        given = self.trainer.option(setup, "source_fps")
        wanted = setup.model.fps
        groups: dict[float | None, list[Item]] = {}
        for item in items:
            rate = None
            if given is not None:
                rate = float(given)
            elif wanted and item.fps > wanted * (1 + SAME_RATE):
                rate = round(item.fps, 3)
            groups.setdefault(rate, []).append(item)
        return dict(sorted(groups.items(), key=lambda group: group[0] or 0))


class AIToolkit(Pairs):
    """``datasets`` of the YAML of ostris/ai-toolkit, by `toolkit/config_modules.py`."""

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """A section to put into ``config: process:``, with a data set for each number of frames."""
        groups = self.by_length(items, setup, split)
        text = "datasets:\n"
        for length, group in groups.items():
            if len(groups) == 1:
                source = {"folder_path": place(folder, self.root(split))}
            else:
                name = f"clips_{length}.json"
                source = {"dataset_path": place(folder, split, name)}
                captions = {place(folder, item.file): {"caption": item.caption} for item in group}
                yield name, json_text(captions)
            dataset = {
                **source,
                "caption_ext": "txt",
                "resolution": sorted({math.isqrt(width * height) for width, height in setup.sizes}),
                "num_frames": length,
                **{name: self.trainer.option(setup, name) for name in self.trainer.options},
            }
            if setup.model.sound:
                dataset["do_audio"] = any(item.has_audio for item in group)
            lines = [f"{key}: {literal(value)}" for key, value in dataset.items()]
            text += "  - " + "\n    ".join(lines) + "\n"
        train = f"train:\n  batch_size: {setup.batch_size}\n  gradient_accumulation: {setup.accumulation}\n"
        yield "dataset.yaml", bucket_comments(self.summary(items, setup, split).buckets) + text + train


class SimpleTuner(Pairs):
    """``multidatabackend.json`` of bghira/SimpleTuner, as in `documentation/DATALOADER.md`."""

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """The clips, cropped to their bucket, and where embeddings of captions are kept."""
        groups = self.by_length(items, setup, split)
        longest: int | None = None
        datasets = []
        for length, group in groups.items():
            name = (split or "clips") + (f"-{length}" if len(groups) > 1 else "")
            datasets.append(self._clips(group, setup, split, folder, (name, length, longest)))
            longest = length - 1
        captions = {
            "id": f"{split}-text-embeds" if split else "text-embeds",
            "type": "local",
            "dataset_type": "text_embeds",
            "default": True,
            "cache_dir": place(folder, split, "cache", "text"),
        }
        yield "multidatabackend.json", json_text([*datasets, captions])

    def _clips(
        self,
        items: Sequence[Item],
        setup: Setup,
        split: str,
        folder: str,
        part: tuple[str, int, int | None],
    ) -> dict[str, object]:
        """A data set of all clips of the folder with so many frames, and at most so many."""
        option = partial(self.trainer.option, setup)
        name, length, longest = part
        width, height = setup.sizes[0]
        video = {
            "num_frames": length,
            "min_frames": option("min_frames") or length,
            "max_frames": option("max_frames") or longest,
            "bucket_strategy": option("bucket_strategy"),
            "frame_interval": option("frame_interval"),
        }
        clips: dict[str, object] = {
            "id": name,
            "type": "local",
            "dataset_type": "video",
            "instance_data_dir": place(folder, self.root(split)),
            "caption_strategy": "textfile",
            "metadata_backend": "discovery",
            "resolution": round(width * height / 1e6, 2),
            "resolution_type": "area",
            "crop": True,
            "crop_style": "center",
            "crop_aspect": "preserve",
            "repeats": option("repeats"),
            "train_batch_size": setup.batch_size,
            "cache_dir_vae": place(folder, split, "cache", "vae", str(length) if setup.by_length else ""),
            "video": {name: value for name, value in video.items() if value is not None},
        }
        if setup.model.sound and any(item.has_audio for item in items):
            silent = not all(item.has_audio for item in items)
            clips["audio"] = {"auto_split": True, "allow_zero_audio": silent}
        return clips


class Finetrainers(Pairs):
    """``training.json`` of a-r-r-o-w/finetrainers, as in its `examples/training`."""

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """Buckets, as frames, height and width, are those that have clips."""
        given = self.trainer.option(setup, "video_resolution_buckets")
        shapes = given or [
            (frames, height, width) for width, height in setup.sizes for frames in setup.frames
        ]
        found = {(bucket.height, bucket.width) for bucket in self.summary(items, setup, split).buckets}
        dataset = {
            "data_root": place(folder, self.root(split)),
            "dataset_type": "video",
            "video_resolution_buckets": [
                list(shape) for shape in shapes if tuple(shape[1:]) in found or not found
            ],
            "reshape_mode": self.trainer.option(setup, "reshape_mode"),
            "remove_common_llm_caption_prefixes": True,
        }
        yield "training.json", json_text({"datasets": [dataset]})


class Mochi(Pairs):
    """Flags of genmoai/mochi's `demos/fine_tuner/preprocess.bash`."""

    def settings(
        self, items: Sequence[Item], setup: Setup, split: str, folder: str
    ) -> Iterator[tuple[str, str]]:
        """Where the clips are, and how long."""
        del items
        flags = [("--videos_dir", place(folder, self.root(split))), ("--num_frames", setup.frames[0])]
        yield "flags.txt", flags_text(flags)


def _data_set_name(rate: float | None, length: int, rates: bool, setup: Setup) -> str:
    """Such as ``clips_30fps_81frames``."""
    parts = ["clips"]
    if rates or not setup.by_length:
        parts.append(f"{rate:g}fps" if rate else "model_fps")
    if setup.by_length:
        parts.append(f"{length}frames")
    return "_".join(parts)


def _filled(setup: Setup, buckets: Iterable[Bucket]) -> list[int]:
    """Lengths of the setup that have clips, or all of them where no clip is used.

    What is trained on is aligned to the model: a bucket of 80 frames gives 77 to one of 4k + 1.
    """
    rule = setup.model.frames
    lengths = sorted({frames for frames in setup.frames if frames > 1})
    aligned = {bucket.frames for bucket in buckets}
    filled = [frames for frames in lengths if frames - (frames - rule.rest) % rule.step in aligned]
    return filled or lengths
