"""The same command gives the same bytes, in every fresh process and by every way to encode.

x264 (core 165) reads memory that it never wrote, with AVX-512: what a clip looked like depended on what a
process had there before. glibc fills new memory with a value of one's own when MALLOC_PERTURB_ is set, so a
read of it shows at once, and not once in many runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integrations.dataflow.dataflow_files import drifting_pictures
from tests.support import make_video

SIZES = {(96, 64): "veryfast", (320, 180): "medium", (854, 480): "veryfast"}
WAYS = """
import hashlib, json, sys
from fractions import Fraction
from pathlib import Path
from tools.datasets.transforms.videos import Encoding, crop_video, resize_video
from tools.scene_cut.clips.cutting import CutOptions, cut_clips

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
scene = [(Fraction(1, 5), Fraction(8, 5))]
made = {}

def note(what, path):
    made[what] = hashlib.sha256(path.read_bytes()).hexdigest()

def cut(what, source, **options):
    (clip,) = cut_clips(source, scene, out / what, options=CutOptions(**options)).clips
    note(what, clip.path)

for source in sorted(folder.glob("*.mp4")):
    name, preset = source.stem.split("_")
    cut(f"exact {name}", source, preset=preset)
    if name == "854x480":
        continue  # the others are as large as they need to be
    cut(f"smart {name}", source, mode="smart", preset=preset)
    cut(f"ffmpeg {name}", source, engine="ffmpeg", preset=preset)
    cut(f"fast {name}", source, quality="fast")
    for what, work in (("resize", resize_video), ("crop", crop_video)):
        size = 64 if what == "resize" else None
        work(source, out / f"{what}.mp4", size, Encoding(preset=preset))
        note(f"{what} {name}", out / f"{what}.mp4")
    if name == "96x64":
        for codec in ("hevc", "libx264rgb"):
            cut(f"{codec} {name}", source, codec=codec)
print(json.dumps(made))
"""


def test_the_same_clips_whatever_the_memory_held_before(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for size, preset in SIZES.items():
        name = f"{size[0]}x{size[1]}_{preset}.mp4"
        make_video(tmp_path / "in" / name, pictures=drifting_pictures(40, size=size), gop=15, audio="sine")
    made = []
    for filled in ("1", "254"):
        out = tmp_path / filled
        out.mkdir()
        environment = {**os.environ, "MALLOC_PERTURB_": filled}
        command = [sys.executable, "-c", WAYS, str(tmp_path / "in"), str(out)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
        made.append(json.loads(done.stdout))
    assert len(made[0]) == 15
    assert {name for name in made[0] if len({one[name] for one in made}) > 1} == set()
