"""The one registry of commands: what each is called, its module, what it does, and the score it computes.

From it come ``vidsieve NAME``, the table in README, the names of ``python -m tools.scoring --scores`` and of
the scores as Daft expressions. To add a command or a scorer is one line here.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command.

    Attributes:
        name: As typed after ``vidsieve``.
        module: As typed after ``python -m``, with ``__main__`` where that is a package.
        summary: Columns that it adds, and what it does, in a few words.
        reads: Columns that it reads, or what else.
        writes: The suffix of the table that it writes, or what else.
        score: Its name in ``tools.scoring --scores``; empty for a command that computes none. The module of a
            scorer has ``COMMAND``, a `tools.stage.command.StageCommand`.
    """

    name: str
    module: str
    summary: str
    reads: str
    writes: str
    score: str = ""

    @property
    def typed(self) -> str:
        """The module as typed after ``python -m``."""
        return self.module.removesuffix(".__main__")


COMMANDS: tuple[Command, ...] = (
    Command(
        "convert",
        "tools.datasets.convert",
        "make a table from a folder of videos or images: `path id relpath`",
        "a folder",
        "the `--output` you name",
    ),
    Command(
        "datautil",
        "tools.datasets.datautil",
        "probe, filter, merge, sort and split tables; clean captions",
        "tables",
        "a suffix for each operation",
    ),
    Command(
        "analyze",
        "tools.datasets.analyze",
        "counts, hours and quantiles of a table, with plots and a page",
        "tables",
        "what you ask for",
    ),
    Command(
        "split", "tools.datasets.split", "rows for every training bucket: `bucket`", "tables", "`_split`"
    ),
    Command(
        "transform",
        "tools.datasets.transform",
        "resize, crop, extract frames, remux into mp4",
        "`path`",
        "files, and a suffix for each method",
    ),
    Command(
        "save_first_frame",
        "tools.datasets.save_first_frame",
        "save first frames as images: `first_frame_path`",
        "`path`",
        "images and `_first-frame`",
    ),
    Command(
        "check_integrity",
        "tools.datasets.check_integrity",
        "decode everything, say where files are broken: `intact broken_at …`",
        "`path`",
        "`_integrity`, `_intact`, `_broken`",
    ),
    Command(
        "show",
        "tools.datasets.show",
        "print the first rows of a table, with `--sort` those with the most or least",
        "a table",
        "",
    ),
    Command(
        "scene_detect",
        "tools.scene_cut.scene_detect",
        "find shots: `timestamp boundary`",
        "`path`",
        "`_timestamp`",
    ),
    Command(
        "cut",
        "tools.scene_cut.cut",
        "cut videos into clips at their shots",
        "`path timestamp`",
        "clips and `_clips`",
    ),
    Command(
        "aesthetic",
        "tools.scoring.aesthetic.inference",
        "LAION aesthetic score: `aes`",
        "`path`",
        "`_aes`",
        "aes",
    ),
    Command(
        "flow",
        "tools.scoring.optical_flow.inference",
        "how much moves: `flow motion motion_p95`",
        "`path`",
        "`_flow`",
        "flow",
    ),
    Command(
        "technical",
        "tools.scoring.technical.inference",
        "`sharpness … black_bars static_ratio true_fps …`",
        "`path`",
        "`_technical`",
        "technical",
    ),
    Command(
        "ocr", "tools.scoring.ocr.inference", "text in the picture: `ocr ocr_area`", "`path`", "`_ocr`", "ocr"
    ),
    Command(
        "match",
        "tools.scoring.matching.inference",
        "how well captions fit the pictures: `match`",
        "`path text`",
        "`_match`",
        "match",
    ),
    Command(
        "emscore",
        "tools.scoring.emscore.inference",
        "captions against frames and references: `emscore …`",
        "`path text`",
        "`_emscore`",
        "emscore",
    ),
    Command(
        "emscore_idf",
        "tools.scoring.emscore.idf",
        "weights of EMScore's tokens from a corpus of captions",
        "`text`",
        "a JSON file",
    ),
    Command(
        "audio",
        "tools.scoring.audio_similarity.inference",
        "sound against captions or pictures: `audio_match av_offset audio_level`",
        "`path text`",
        "`_audio`",
        "audio",
    ),
    Command(
        "quality",
        "tools.scoring.quality.inference",
        "CLIP-IQA, with any prompts: `quality`",
        "`path`",
        "`_quality`",
        "quality",
    ),
    Command(
        "dedup",
        "tools.scoring.dedup.inference",
        "find near-duplicates: `dup_of dup_score`",
        "`path`",
        "`_dedup`",
        "dedup",
    ),
    Command(
        "scoring",
        "tools.scoring.__main__",
        "several scores at once (`--scores aes,flow`), one decode of each file",
        "`path`",
        "`_aes_flow`",
    ),
    Command(
        "camera_motion",
        "tools.caption.camera_motion_detect",
        "pan, tilt, zoom, roll, shake: `cmotion`",
        "`path`",
        "`_cmotion`",
    ),
    Command(
        "caption_llava",
        "tools.caption.caption_llava",
        "captions from a model on this machine: `text`",
        "`path`",
        "`_caption`",
    ),
    Command(
        "caption_api",
        "tools.caption.caption_api",
        "captions from an OpenAI-compatible server: `text`",
        "`path`",
        "`_caption`",
    ),
    Command(
        "caption_checks",
        "tools.caption.caption_checks",
        "what is wrong with captions: `caption_flags`",
        "`text`",
        "`_capcheck`",
    ),
    Command("tag", "tools.caption.tag", "tags from captions: `objects`, `actions`, …", "`text`", "`_KEY`"),
    Command(
        "operators",
        "tools.operators.__main__",
        "run a script written for DataFlow or LAS",
        "a script",
        "what the script writes",
    ),
    Command(
        "weights",
        "tools.models.weights",
        "list, download and check model weights",
        "",
        "`pretrained_models/`",
    ),
)
"""All commands, in the order in which they are usually run."""

SCORERS = {command.score: command for command in COMMANDS if command.score}
"""The commands whose scores can be computed together, by the name of the score."""

ENGINES = {"daft": "tools.integrations.daft.arguments"}
"""Where a stage can run beside this process (``--engine``), and the module that does it."""
