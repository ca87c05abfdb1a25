"""Every clip that a layout writes is found by its trainer, with its caption.

The loaders' own way of finding files and captions is written anew here from each repository at the commit
that `Trainer.rule` names. The files are videos of the size, length and rate that `target` asks for.
"""

import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml

from tools.export.explain import explain
from tools.export.items import Item, as_clip
from tools.export.layouts.base import below
from tools.export.layouts.shards import Shards
from tools.export.presets import TRAINERS, layout_of
from tools.export.targets import target
from tools.export.trainers.judgement import Clip

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

CAPTIONS = [
    'A dog, "Rex", runs.',
    "Ein Hund läuft – 狗 🐕",
    "NA",
    "007",
    "# a: {b} 'c' \\d %s $e <f>; [g]",
]
FRAMES = {"cosmos": 93, "minimax-h3": 34}


def words(path):
    return [token for line in path.read_text("utf-8").splitlines() for token in shlex.split(line)]


def flag(path, name):
    tokens = words(path)
    return tokens[tokens.index(name) + 1]


def diffusion_pipe(root):
    """utils/dataset.py: `path.glob('*')`, all but some suffixes; .txt of the same stem, stripped."""
    for directory in tomllib.loads((root / "dataset.toml").read_text("utf-8"))["directory"]:
        path = Path(directory["path"])
        assert not (path / "captions.json").exists()
        for file in sorted(path.glob("*")):
            if file.is_file() and file.suffix not in (".txt", ".npz", ".json", ".parquet", ".bak", ".db"):
                caption = file.with_suffix(".txt")
                if caption.exists():
                    yield file, caption.read_text("utf-8").strip()


def musubi(root):
    """dataset/datasources.py: `glob_videos`, caption file of the base name, or lines of JSON."""
    config = tomllib.loads((root / "dataset.toml").read_text("utf-8"))
    caches = [dataset["cache_directory"] for dataset in config["datasets"]]
    assert len(set(caches)) == len(caches)
    for dataset in config["datasets"]:
        assert isinstance(dataset.get("source_fps", 0.0), float)
        if "video_jsonl_file" in dataset:
            for line in Path(dataset["video_jsonl_file"]).read_text("utf-8").splitlines():
                row = json.loads(line)
                yield Path(row["video_path"]), row["caption"]
            continue
        for file in sorted(Path(dataset["video_directory"]).iterdir()):
            if file.suffix.lower() == ".mp4":
                caption = file.with_suffix(config["general"]["caption_extension"])
                yield file, caption.read_text("utf-8").strip()


def ai_toolkit(root):
    """toolkit/data_loader.py: `os.walk`, nothing hidden, no `_controls`."""
    for dataset in yaml.safe_load((root / "dataset.yaml").read_text("utf-8"))["datasets"]:
        assert dataset["num_frames"] > 1
        for folder, folders, files in os.walk(dataset["folder_path"]):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if name.lower().endswith(".mp4") and not name.startswith("."):
                    file = Path(folder, name)
                    caption = file.with_suffix("." + dataset["caption_ext"])
                    yield file, caption.read_text("utf-8")


def simpletuner(root):
    """helpers/prompts.py: the .txt of the same name, each line a caption."""
    backends = json.loads((root / "multidatabackend.json").read_text("utf-8"))
    assert [backend["dataset_type"] for backend in backends] == ["video", "text_embeds"]
    assert backends[1]["default"] is True
    for folder, _, files in os.walk(backends[0]["instance_data_dir"]):
        for name in files:
            file = Path(folder, name)
            if file.suffix.lower() == ".mp4":
                lines = [line for line in file.with_suffix(".txt").read_text("utf-8").split("\n") if line]
                assert len(lines) == 1
                yield file, lines[0]


def finetrainers(root):
    """data/dataset.py: no metadata, no tar; a .txt with a video of the same name makes it pairs."""
    for dataset in json.loads((root / "training.json").read_text("utf-8"))["datasets"]:
        path = Path(dataset["data_root"])
        assert dataset["video_resolution_buckets"]
        assert not [file for file in path.rglob("*") if file.name.startswith("metadata.")]
        assert not [file for file in path.rglob("*") if file.suffix in (".tar", ".parquet")]
        for caption in sorted(path.glob("*.txt")):
            videos = [file for file in (caption.with_suffix(s) for s in (".mp4", ".mov")) if file.exists()]
            assert len(videos) == 1
            yield videos[0], caption.read_text("utf-8").strip()


def mochi(root):
    """demos/fine_tuner/trim_and_crop_videos.py: videos of the folder, .txt of the same name."""
    for file in sorted(Path(flag(root / "flags.txt", "--videos_dir")).glob("**/*.mp4")):
        yield file, file.with_suffix(".txt").read_text("utf-8")


def ltx(root):
    """scripts/process_captions.py: a list of objects; paths from the folder of the table."""
    table = Path(words(root / "flags.txt")[0])
    for bucket in flag(root / "flags.txt", "--resolution-buckets").split(";"):
        width, height, frames = map(int, bucket.split("x"))
        assert (width % 32, height % 32, frames % 8) == (0, 0, 1)
    for entry in json.loads(table.read_text("utf-8")):
        yield table.parent / entry["video"].strip(), entry["caption"]


def diffsynth(root):
    """core/data/unified_dataset.py: the table, paths from the base."""
    base = Path(flag(root / "flags.txt", "--dataset_base_path"))
    table = Path(flag(root / "flags.txt", "--dataset_metadata_path"))
    for row in json.loads(table.read_text("ascii")):
        for key in flag(root / "flags.txt", "--data_file_keys").split(","):
            assert (base / row[key]).suffix == ".mp4"
        yield base / row["video"], row["prompt"]


def videox_fun(root):
    """data/dataset_image_video.py: a list, of which `type` decides, with paths from the data root."""
    base = Path(flag(root / "flags.txt", "--train_data_dir"))
    for row in json.loads(Path(flag(root / "flags.txt", "--train_data_meta")).read_text("ascii")):
        assert row["type"] == "video"
        yield base / row["file_path"], row["text"]


def fastvideo(root):
    """workflow/preprocess/components.py: what the validator refuses, then `videos/` and the path."""
    base = Path(flag(root / "flags.txt", "--preprocess.dataset_path"))
    frames = int(flag(root / "flags.txt", "--preprocess.num_frames"))
    rate = int(flag(root / "flags.txt", "--preprocess.train_fps"))
    allowed = float(flag(root / "flags.txt", "--preprocess.video_length_tolerance_range"))
    for row in json.loads((base / "videos2caption.json").read_text("ascii")):
        resolution = row["resolution"]
        refused = (
            not row["cap"]
            or not row["fps"] > 0
            or not row["num_frames"] > 0
            or resolution["height"] is None
            or resolution["width"] is None
            or row["num_frames"] / row["fps"] > allowed * frames / rate
            or len(np.arange(0, row["num_frames"], row["fps"] / rate)) < frames
        )
        if not refused:
            yield base / "videos" / row["path"], row["cap"]


def cosmos(root):
    """local_datasets/dataset_video.py: `videos/*.mp4`, `metas/NAME.txt`; a missing one is empty."""
    scope = {}
    exec((root / "config.py").read_text("utf-8"), scope)
    base = Path(scope["dataset"]["dataset_dir"])
    assert not (base / "captions").exists()
    for file in sorted((base / "videos").iterdir()):
        if file.name.endswith(".mp4"):
            yield file, (base / "metas" / file.name.replace(".mp4", ".txt")).read_text("utf-8").strip()


def open_sora(root):
    """datasets/utils.py and datasets.py: pandas, paths as they stand."""
    scope = {}
    exec((root / "config.py").read_text("utf-8"), scope)
    assert all(key.endswith("px") or key == "_delete_" for key in scope["bucket_config"])
    table = pd.read_csv(flag(root / "flags.txt", "--dataset.data-path"))
    assert scope["dataset"]["data_path"] == flag(root / "flags.txt", "--dataset.data-path")
    for row in table.to_dict("records"):
        assert row["aspect_ratio"] == row["height"] / row["width"]
        assert row["resolution"] == row["height"] * row["width"]
        yield Path(row["path"]), row["text"].strip()  # the prompt of " NA" is that of "NA"


def cogvideo(root):
    """finetune/datasets/utils.py: lines that are not blank, stripped, as many of each."""
    base = Path(flag(root / "flags.txt", "--data_root"))

    def lines(name):
        return [line.strip() for line in (base / name).read_text("utf-8").split("\n") if line.strip()]

    prompts = lines(flag(root / "flags.txt", "--caption_column"))
    videos = lines(flag(root / "flags.txt", "--video_column"))
    assert len(prompts) == len(videos)
    return [(base / video, prompt) for video, prompt in zip(videos, prompts, strict=True)]


def videofolder(root):
    """Hugging Face: `file_name` from the folder of the metadata file; only one such file."""
    root = root if (root / "metadata.jsonl").exists() else root / "train"
    assert len(list(root.glob("metadata.*"))) == 1
    for line in (root / "metadata.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        yield root / row["file_name"], row["caption"]


LOADERS = {
    "diffusion-pipe": diffusion_pipe,
    "musubi": musubi,
    "ltx-trainer": ltx,
    "ai-toolkit": ai_toolkit,
    "simpletuner": simpletuner,
    "diffsynth": diffsynth,
    "finetrainers": finetrainers,
    "videox-fun": videox_fun,
    "cosmos": cosmos,
    "fastvideo": fastvideo,
    "open-sora": open_sora,
    "cogvideo": cogvideo,
    "mochi": mochi,
    "videofolder": videofolder,
}


def small_setup(trainer, **settings):
    """A small picture and few frames, so that real files are quickly made."""
    if trainer.models[0].name == "any":
        return trainer.setup(trainer.models[0])
    frames = FRAMES.get(trainer.name, 17 if trainer.name in ("finetrainers", "cogvideo") else 25)
    return trainer.setup(trainer.models[0], sizes=((256, 256),), frames=(frames,), **settings)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A function that makes a video of a shape, once."""
    folder = tmp_path_factory.mktemp("videos")

    def make(width, height, frames, rate):
        path = folder / f"{width}_{height}_{frames}_{rate}.mp4"
        if not path.exists():
            with av.open(path, "w") as container:
                stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                for _ in range(frames):
                    picture = np.zeros((height, width, 3), np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
                container.mux(stream.encode())
        return path

    return make


def exported(folder, layout, setup, video, captions, splits=("",)):
    """A folder as the layout says, of real videos."""
    source = Clip("a.mp4", 320, 320, 400, 30.0, "A dog.")
    wanted = target(source, layout.trainer, setup)
    frames = wanted.num_frames if setup.frames else 8
    made = video(wanted.width, wanted.height, frames, round(wanted.fps))
    items = []
    for number, caption in enumerate(captions):
        split = splits[number % len(splits)]
        key = f"clip-{number:03}"
        file = layout.media(key, split)
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, folder / file)
        shape = wanted.width, wanted.height, frames, float(round(wanted.fps))
        items.append(Item(key, file, *shape, False, caption, number, f"in/{number}.mp4", split))
    for path, text in layout.texts(items, setup, str(folder)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        assert not (folder / path).exists()
        (folder / path).write_bytes(text.encode())
    return items


def test_every_trainer_of_files_has_a_loader():
    assert {name for name in TRAINERS if not isinstance(layout_of(name), Shards)} == set(LOADERS)


@pytest.mark.parametrize("splits", [("",), ("train", "val")], ids=["one", "splits"])
@pytest.mark.parametrize("name", LOADERS)
def test_every_clip_is_found_with_its_caption(name, splits, tmp_path, video):
    layout, folder = layout_of(name), tmp_path / "a 'set' \"of\" cl1ps, ü"
    setup = small_setup(layout.trainer)
    items = exported(folder, layout, setup, video, CAPTIONS, splits)
    found = {}
    for split in splits:
        for file, caption in LOADERS[name](folder / split):
            assert file.is_file()
            found[file.resolve().relative_to(folder.resolve()).as_posix()] = caption
    assert found == {item.file: item.caption for item in items}


@pytest.mark.parametrize("name", LOADERS)
def test_the_trainers_rule_uses_every_clip(name, tmp_path, video):
    layout = layout_of(name)
    setup = small_setup(layout.trainer)
    items = exported(tmp_path, layout, setup, video, CAPTIONS)
    root = tmp_path / layout.root()
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert layout.trainer.reads(names) == [below(item.file, layout.root()) for item in items]
    with av.open(tmp_path / items[0].file) as container:
        stream = container.streams.video[0]
        counted = sum(1 for _ in container.decode(stream))
        assert (stream.width, stream.height, counted) == (
            items[0].width,
            items[0].height,
            items[0].num_frames,
        )
    explained = explain(
        [as_clip(item, below(item.file, layout.root())) for item in items], layout.trainer, setup
    )
    assert explained.summary.used == len(items)
    assert explained.summary.warned.keys() <= {"enlarged"}


@pytest.mark.parametrize("name", LOADERS)
def test_the_text_is_the_same_each_time(name, tmp_path, video):
    layout = layout_of(name)
    setup = small_setup(layout.trainer)
    items = exported(tmp_path, layout, setup, video, CAPTIONS)
    assert list(layout.texts(items, setup)) == list(layout.texts(items, setup))


def data_sets(root):
    """What data sets of one number of frames each read of a folder: number and files, by each trainer's rule.

    musubi's VideoDataset takes a clip for every target that it fills, ai-toolkit all of a list, and
    SimpleTuner of a folder those of `min_frames` to `max_frames` frames.
    """
    if (root / "dataset.toml").exists():
        for dataset in tomllib.loads((root / "dataset.toml").read_text("utf-8"))["datasets"]:
            lines = Path(dataset["video_jsonl_file"]).read_text("ascii").splitlines()
            for target_frames in dataset["target_frames"]:
                rows = [json.loads(line) for line in lines]
                yield target_frames, {row["video_path"]: row["caption"] for row in rows}
    elif (root / "dataset.yaml").exists():
        for dataset in yaml.safe_load((root / "dataset.yaml").read_text("utf-8"))["datasets"]:
            captions = json.loads(Path(dataset["dataset_path"]).read_text("ascii"))
            yield dataset["num_frames"], {path: entry["caption"] for path, entry in captions.items()}
    else:
        backends = json.loads((root / "multidatabackend.json").read_text("utf-8"))
        clips = [backend for backend in backends if backend["dataset_type"] == "video"]
        assert len({one["id"] for one in backends}) == len(backends)
        assert len({one["cache_dir_vae"] for one in clips}) == len(clips)
        for dataset in clips:
            video = dataset["video"]
            assert video["min_frames"] >= video["num_frames"]  # or the factory refuses it
            inside = {}
            for path in Path(dataset["instance_data_dir"]).glob("*.mp4"):
                frames = int(path.read_text())
                if video["min_frames"] <= frames <= video.get("max_frames", 10**6):
                    inside[str(path)] = path.with_suffix(".txt").read_text("utf-8")
            yield video["num_frames"], inside


@pytest.mark.parametrize("splits", [("",), ("train", "val")], ids=["one", "splits"])
@pytest.mark.parametrize("name", ["musubi", "ai-toolkit", "simpletuner"])
def test_clips_of_several_lengths_are_in_one_data_set_each(name, splits, tmp_path):
    """Files hold their number of frames alone, as text."""
    layout = layout_of(name)
    wanted = (17, 33, 81)
    setup = replace(small_setup(layout.trainer), frames=wanted, by_length=True)
    items = []
    for number, frames in enumerate([81, 17, 33, 17, 81, 81]):
        split = splits[number % len(splits)]
        file = layout.media(f"clip-{number}", split)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(str(frames))
        caption = CAPTIONS[number % len(CAPTIONS)]
        items.append(Item(f"clip-{number}", file, 256, 256, frames, 16.0, False, caption, number, "a", split))
    for path, text in layout.texts(items, setup, str(tmp_path)):
        (tmp_path / path).write_bytes(text.encode())
    found = [
        (Path(file).relative_to(tmp_path).as_posix(), frames, caption)
        for split in splits
        for frames, files in data_sets(tmp_path / split)
        for file, caption in files.items()
    ]
    assert sorted(found) == sorted((item.file, item.num_frames, item.caption) for item in items)
