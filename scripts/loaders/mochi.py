"""genmoai/mochi, demos/fine_tuner: trim_and_crop_videos.py, then what encode_videos.py reads of its files."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import av
import numpy as np
from loaders.common import Seen, flags, module, stand_in


def run(clone: Path, folder: Path, seen: Seen, setup: dict[str, Any]) -> None:
    """Cut all videos, then read each that was made, with its caption."""
    del clone, setup
    stood = stand_in("click", "tqdm")
    if importlib.util.find_spec("moviepy.editor") is None:  # gone since moviepy 2
        stood.append("moviepy.editor")
        _older_moviepy()
    trim = importlib.import_module("trim_and_crop_videos")
    given = flags(folder / "flags.txt")
    frames = int(given["num_frames"])
    duration = f"{frames / 30 + 0.09:.1f}"  # as preprocess.bash has it
    out = Path.cwd() / "cut"
    trim.truncate_videos.callback(given["videos_dir"], str(out), float(duration), "848x480")
    for path in sorted(out.glob("*.mp4")):  # train.py looks into no folder of it
        with av.open(str(path)) as container:
            video = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        if len(video) >= frames and video.shape[1:3] == (480, 848):
            seen.add(video[:frames], path.with_suffix(".txt").read_text("utf-8"), file=str(path))
    seen.note(stood_in=stood)


def _older_moviepy() -> None:
    """Names of moviepy 1 for those of moviepy 2."""
    new = importlib.import_module("moviepy")
    clip = new.VideoFileClip
    clip.subclip = clip.subclipped
    for made in (new.VideoClip, clip):
        made.crop = lambda self, **box: self.cropped(**box)
        made.resize = lambda self, size: self.resized(size)
        made.set_fps = lambda self, fps: self.with_fps(fps)
    module("moviepy.editor", VideoFileClip=clip)
