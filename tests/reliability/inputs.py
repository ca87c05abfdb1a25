"""Files for the crash test: small videos, some of them damaged, tables of them, weights of random numbers.

python -m tests.reliability.inputs FOLDER [--weights]
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from tests.reliability.cases import ENVIRONMENT, REMOTE, STORED, WEIGHTS
from tests.reliability.object_storage import SOURCE
from tests.support import make_video

_ENORMOUS = 104 << 20  # bytes; s3fs uploads from 100 MiB on in parts
_SCENES = '[["00:00:00.000", "00:00:00.700"], ["00:00:00.700", "00:00:01.400"]]'
_PIPELINE = """
[pipeline]
tables = "out/meta"

[[step]]
name = "videos"
run = "convert video videos"

[[step]]
name = "probed"
run = "datautil"
options = { info = true, fmin = 1 }

[[step]]
name = "shots"
run = "scene_detect"

[[step]]
name = "cut"
run = "cut"
options = { save-dir = "out/clips", prune = true, num-workers = 1 }

[[step]]
name = "scores"
run = "technical"
options = { measures = "sharpness", num-workers = 1 }

[[step]]
name = "kept"
run = "datautil"
options = { sort = "num_frames" }
"""


def make_inputs(folder: Path, *, weights: bool) -> None:
    """Make all files.

    Args:
        folder: A new folder.
        weights: Also those of models, which takes longer than all the rest.
    """
    folder.mkdir(parents=True)
    os.chdir(folder)
    _make_media(folder)
    _make_tables(folder)
    _make_stored(folder)
    (folder / WEIGHTS).mkdir()
    (folder / WEIGHTS / ENVIRONMENT).write_text(
        json.dumps(_make_weights(folder / WEIGHTS) if weights else {})
    )


def _make_media(folder: Path) -> None:
    videos = folder / "videos"
    (videos / "sub").mkdir(parents=True)
    for number in range(4):
        make_video(videos / f"{number}.mp4", fps=16, pictures=_pictures(24 + 3 * number, number))
    make_video(videos / "with sound.mp4", 28, size=(96, 64), fps=16, audio="sine", flashes=(8, 16))
    make_video(videos / "sub" / "ü.mkv", 24, size=(64, 96), fps=16)
    shutil.copy(videos / "0.mp4", videos / "copy.mp4")
    (videos / "broken.mp4").write_text("no video")
    rng = np.random.default_rng(2)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    coarse.resize((120, 80), Image.Resampling.BICUBIC).save(folder / "picture.png")
    (folder / "large").mkdir()
    for number, frames in enumerate((17, 34)):
        make_video(folder / "large" / f"{number}.mp4", frames, size=(320, 192), fps=16)
    (folder / "shards").mkdir()
    for number in range(2):
        with tarfile.open(folder / "shards" / f"{number:03}.tar", "w") as tar:
            for name in (2 * number, 2 * number + 1):
                tar.add(videos / f"{name}.mp4", f"{name}.mp4")
                (folder / "text.txt").write_text(f"Caption {name}.")
                tar.add(folder / "text.txt", f"{name}.txt")
    (folder / "text.txt").unlink()


def _pictures(count: int, seed: int) -> list[np.ndarray]:
    """Pictures of one coarse scene, which turns into another one in the middle."""
    scenes = np.random.default_rng(seed).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(scene).resize((96, 64))) for scene in scenes]
    return [np.roll(pictures[2 * i // count], i, axis=1) for i in range(count)]


def _make_tables(folder: Path) -> None:
    names = ["0.mp4", "1.mp4", "with sound.mp4", "sub/ü.mkv", "copy.mp4"]
    names += ["broken.mp4", "missing.mp4"]
    paths = [*(f"videos/{name}" for name in names), "picture.png"]
    count = len(paths)
    pl.DataFrame(
        {
            "id": [f"{number:03}" for number in range(count)],
            "path": paths,
            "relpath": [path.removeprefix("videos/") for path in paths],
            "text": [f"The video shows a cat and {number} dogs, panning left." for number in range(count)],
            "timestamp": [_SCENES] * count,
            "num_frames": ["24"] * count,
            "fps": ["16.0"] * count,
            "height": ["64"] * count,
            "width": ["96"] * count,
            "aspect_ratio": ["0.6667"] * count,
            "aes": [f"{4 + number / 4}" for number in range(count)],
            "flow": [f"{number / 8}" for number in range(count)],
        }
    ).write_csv(folder / "meta.csv")
    pl.DataFrame(
        {
            "path": ["large/0.mp4", "large/1.mp4"],
            "num_frames": [17, 34],
            "fps": [16.0, 16.0],
            "width": [320, 320],
            "height": [192, 192],
            "text": ["A dog.", "A cat."],
            "has_audio": [False, False],
        }
    ).write_csv(folder / "large.csv")
    paths = [f"videos/{number}.mp4" for number in range(40)]  # of which 30 are rated
    scores = np.random.default_rng(4).random((40, 2)).round(3)
    pl.DataFrame({"path": paths, "aes": scores[:, 0], "flow": scores[:, 1]}).write_csv(folder / "scores.csv")
    ratings = [{"path": path, "rating": 1 + number % 5} for number, path in enumerate(paths[:30])]
    (folder / "ratings.jsonl").write_text("".join(json.dumps(rating) + "\n" for rating in ratings))
    (folder / "chain.toml").write_text(_PIPELINE)
    (folder / "buckets.json").write_text(json.dumps({"144p": {"17": [1.0, 4], "34": [1.0, 4]}}))


def _make_stored(folder: Path) -> None:
    """Files for object storage, and tables of their addresses."""
    shutil.copytree(folder / "videos", folder / STORED / "videos")
    address = f"s3://{SOURCE}/"
    table = pl.read_csv(folder / "meta.csv", infer_schema=False).filter(pl.col("path") != "picture.png")
    table = table.with_columns(path=address + pl.col("path"))
    for place in (folder / REMOTE, folder / STORED / REMOTE):
        table.write_csv(place)
    enormous = folder / STORED / "enormous.mp4"
    shutil.copy(folder / "large" / "0.mp4", enormous)
    with enormous.open("ab") as file:  # an atom of free space, so large that it is uploaded in parts
        file.write(_ENORMOUS.to_bytes(4, "big") + b"free")
        file.truncate(file.tell() - 8 + _ENORMOUS)
    path = [f"{address}enormous.mp4", "large/1.mp4"]
    pl.read_csv(folder / "large.csv").with_columns(path=pl.Series(path)).write_csv(folder / "enormous.csv")


def _make_weights(folder: Path) -> dict[str, str]:
    """Make weights, and return the variables that say where they are."""
    import torch

    from tests.caption.tiny_models import save_all
    from tests.integrations.dataflow.dataflow_files import Weights
    from tests.models.clap_files import SmallClap
    from tests.models.gmflow_weights import parameter
    from tools.models.gmflow.model import GMFlow

    environment = dict(Weights(folder).environment)
    shapes = {name: tuple(tensor.shape) for name, tensor in GMFlow().state_dict().items()}
    state = {name: torch.from_numpy(parameter(name, shape)).float() for name, shape in shapes.items()}
    torch.save({"model": state}, folder / "gmflow.pth")
    SmallClap(folder / "clap")
    save_all(folder, ["qwen2_vl"])
    return environment | {
        "VIDSIEVE_CLIP_VIT_B_32": environment["VIDSIEVE_CLIP_VIT_L_14"],
        "VIDSIEVE_GMFLOW": str(folder / "gmflow.pth"),
        "VIDSIEVE_CLAP": str(folder / "clap"),
    }


if __name__ == "__main__":
    make_inputs(Path(sys.argv[1]).absolute(), weights="--weights" in sys.argv)
