"""What video models accept: frame rate, numbers of frames, sizes.

These are facts about models. Trainers differ for one model (MiniMax-H3 takes 17k frames in diffusion-pipe
and 17k + 5 in two others; SimpleTuner trims Wan to 8k + 1), so a trainer may say its own by
`dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameRule:
    """The numbers of frames that a video autoencoder takes: step · k + rest, from `least` to `most`.

    Attributes:
        step: Frames that one latent frame stands for.
        rest: What is left over: 1 in causal autoencoders, whose first latent frame is one frame.
        least: The smallest number of frames that is a video.
        most: The number of frames usually trained on, which no piece exceeds.
    """

    step: int
    rest: int
    least: int
    most: int

    def __contains__(self, frames: object) -> bool:
        """Whether a piece may have `frames` frames."""
        return isinstance(frames, int) and self.least <= frames <= self.most and self._fits(frames)

    def longest(self, frames: int) -> int | None:
        """The largest number of frames that `frames` frames can give, or None if those are too few."""
        frames = min(frames, self.most)
        frames -= (frames - self.rest) % self.step
        return frames if frames >= self.least else None

    def all(self) -> list[int]:
        """All numbers of frames that it takes, rising."""
        first = self.least + (self.rest - self.least) % self.step
        return list(range(first, self.most + 1, self.step))

    def _fits(self, frames: int) -> bool:
        return (frames - self.rest) % self.step == 0

    def __str__(self) -> str:
        return f"{self.step}k" + (f"+{self.rest}" if self.rest else "")


@dataclass(frozen=True)
class Model:
    """One model as trainers take it.

    Attributes:
        name: Left part of a preset, MODEL@TRAINER.
        fps: Frames per second at which it plays what it learns, or None: it is told the rate of each clip.
        frames: The numbers of frames that it takes.
        multiple: What width and height must be divisible by.
        sizes: (width, height) usually trained on, smallest first.
        sound: Whether it hears the sound of a clip.
        source: Repository, commit and file that say so.
    """

    name: str
    fps: float | None
    frames: FrameRule
    multiple: int
    sizes: tuple[tuple[int, int], ...]
    sound: bool = False
    source: str = ""


_WAN = (
    "tdrussell/diffusion-pipe@8f83dbf models/wan/wan.py; kohya-ss/musubi-tuner@30c658c image_video_dataset.py"
)
_HUNYUAN = "tdrussell/diffusion-pipe@8f83dbf models/hunyuan_video*.py; kohya-ss/musubi-tuner@30c658c"
_LTX = "tdrussell/diffusion-pipe@8f83dbf models/ltx_video.py; Lightricks/LTX-2@400fd31 packages/ltx-trainer"
_480P = (832, 480)
_720P = (1280, 720)

WAN_2_1 = Model("wan2.1", 16, FrameRule(4, 1, 5, 81), 16, (_480P, _720P), source=_WAN)
WAN_2_2_A14B = Model("wan2.2-a14b", 16, FrameRule(4, 1, 5, 81), 16, (_480P, _720P), source=_WAN)
WAN_2_2_5B = Model("wan2.2-5b", 24, FrameRule(4, 1, 5, 121), 32, ((1280, 704),), source=_WAN)
HUNYUANVIDEO = Model("hunyuanvideo", 24, FrameRule(4, 1, 5, 129), 16, ((960, 544), _720P), source=_HUNYUAN)
HUNYUANVIDEO_1_5 = Model(
    "hunyuanvideo-1.5", 24, FrameRule(4, 1, 5, 121), 16, ((960, 544), _720P), source=_HUNYUAN
)
LTX_VIDEO = Model("ltx-video", 25, FrameRule(8, 1, 9, 121), 32, ((768, 448), (960, 544)), source=_LTX)
LTX_2 = Model("ltx-2", 24, FrameRule(8, 1, 9, 121), 32, ((768, 448), (960, 544)), sound=True, source=_LTX)
MINIMAX_H3 = Model(
    "minimax-h3",
    24,
    FrameRule(17, 5, 22, 124),
    32,
    ((512, 512),),
    sound=True,
    source="modelscope/DiffSynth-Studio@fed7b18 examples/minimax_h3; ostris/ai-toolkit@27a03a9 packing.py",
)
FRAMEPACK = Model(
    "framepack",
    30,
    FrameRule(36, 1, 37, 109),
    16,
    ((640, 640),),
    source="kohya-ss/musubi-tuner@30c658c docs/dataset_config.md",
)
KANDINSKY_5 = Model(
    "kandinsky-5",
    24,
    FrameRule(4, 1, 5, 121),
    16,
    ((512, 512),),
    source="kohya-ss/musubi-tuner@30c658c image_video_dataset.py, kandinsky5/configs.py",
)
COGVIDEOX = Model(
    "cogvideox",
    8,
    FrameRule(8, 1, 9, 49),
    16,
    ((720, 480),),
    source="THUDM/CogVideo@e519ece README.md, finetune/README.md",
)
COGVIDEOX_1_5 = Model(
    "cogvideox1.5",
    16,
    FrameRule(8, 1, 9, 81),
    16,
    ((1360, 768),),
    source="THUDM/CogVideo@e519ece README.md, finetune/README.md",
)
MOCHI_1 = Model(
    "mochi-1",
    30,
    FrameRule(6, 1, 7, 85),
    16,
    ((848, 480),),
    source="genmoai/mochi@0c86aeb demos/fine_tuner/README.md",
)
COSMOS_PREDICT_2_5 = Model(
    "cosmos-predict2.5",
    None,
    FrameRule(4, 1, 93, 93),
    16,
    ((1280, 704),),
    source="nvidia-cosmos/cosmos-predict2.5@50369b8 docs/post-training_video2world_cosmos_nemo_assets.md",
)
OPEN_SORA_2 = Model(
    "open-sora-2",
    24,
    FrameRule(4, 1, 5, 129),
    16,
    ((256, 256),),
    source="hpcaitech/Open-Sora@7ad6a96 configs/diffusion/train/stage1.py",
)
ANY = Model(
    "any", None, FrameRule(1, 0, 1, 10**9), 1, (), sound=True, source="neutral formats take every clip"
)
