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
        guide: The page in docs/ that explains it.
        score: Its name in ``tools.scoring --scores``; empty for a command that computes none. The module of a
            scorer has ``COMMAND``, a `tools.stage.command.StageCommand`.
    """

    name: str
    module: str
    summary: str
    reads: str
    writes: str
    guide: str
    score: str = ""

    @property
    def typed(self) -> str:
        """The module as typed after ``python -m``."""
        return self.module.removesuffix(".__main__")


COMMANDS: tuple[Command, ...] = (
    Command(
        "convert",
        "tools.datasets.convert",
        "a table from a folder or another data set: `path id relpath`, captions as `text`",
        "a folder, WebDataset, VideoFolder, Lance, JSON Lines, a list of URLs",
        "the `--output` you name",
        "tables.md",
    ),
    Command(
        "datautil",
        "tools.datasets.datautil",
        "probes, filters, merges, sorts and samples tables; cleans captions",
        "tables",
        "a suffix for each operation",
        "datautil.md",
    ),
    Command(
        "analyze",
        "tools.datasets.analyze",
        "prints counts, hours and quantiles; plots and an HTML report",
        "tables",
        "the files you name",
        "analyze.md",
    ),
    Command(
        "report",
        "tools.report.__main__",
        "shows what a threshold on each score keeps",
        "tables",
        "the files you name",
        "report.md",
    ),
    Command(
        "split",
        "tools.datasets.split",
        "selects rows for every training bucket: `bucket`",
        "tables",
        "`_split`",
        "analyze.md",
    ),
    Command(
        "transform",
        "tools.datasets.transform",
        "resizes, crops, extracts frames, remuxes to mp4",
        "`path`",
        "files, and a suffix for each method",
        "transform.md",
    ),
    Command(
        "save_first_frame",
        "tools.datasets.save_first_frame",
        "saves first frames as images: `first_frame_path`",
        "`path`",
        "images and `_first-frame`",
        "transform.md",
    ),
    Command(
        "check_integrity",
        "tools.datasets.check_integrity",
        "decodes every frame: `intact broken_at …`",
        "`path`",
        "`_integrity`, `_intact`, `_broken`",
        "transform.md",
    ),
    Command(
        "diff",
        "tools.datasets.diff.__main__",
        "says in which rows and cells two tables differ, and why",
        "two tables",
        "the `--output` you name",
        "tables.md",
    ),
    Command(
        "failures",
        "tools.failures.__main__",
        "says what failed in a run and what to do; runs it again, packs a reproduction",
        "tables, failures files",
        "",
        "troubleshooting.md",
    ),
    Command(
        "show",
        "tools.datasets.show",
        "prints the first rows, or with `--sort` the lowest or highest",
        "a table",
        "",
        "tables.md",
    ),
    Command(
        "scene_detect",
        "tools.scene_cut.scene_detect",
        "finds shots: `timestamp boundary`",
        "`path`",
        "`_timestamp`",
        "scene_detection.md",
    ),
    Command(
        "cut",
        "tools.scene_cut.cut",
        "cuts videos into clips at their shots",
        "`path timestamp`",
        "clips and `_clips`",
        "cutting.md",
    ),
    Command(
        "aesthetic",
        "tools.scoring.aesthetic.inference",
        "LAION aesthetic score: `aes`",
        "`path`",
        "`_aes`",
        "aesthetic.md",
        "aes",
    ),
    Command(
        "flow",
        "tools.scoring.optical_flow.inference",
        "amount of motion: `flow motion motion_p95`",
        "`path`",
        "`_flow`",
        "optical_flow.md",
        "flow",
    ),
    Command(
        "technical",
        "tools.scoring.technical.inference",
        "`sharpness … black_bars static_ratio true_fps …`",
        "`path`",
        "`_technical`",
        "technical.md",
        "technical",
    ),
    Command(
        "ocr",
        "tools.scoring.ocr.inference",
        "on-screen text: `ocr ocr_area`",
        "`path`",
        "`_ocr`",
        "ocr.md",
        "ocr",
    ),
    Command(
        "match",
        "tools.scoring.matching.inference",
        "similarity of caption and frames (CLIP): `match`",
        "`path text`",
        "`_match`",
        "matching.md",
        "match",
    ),
    Command(
        "emscore",
        "tools.scoring.emscore.inference",
        "caption against frames and reference captions: `emscore …`",
        "`path text`",
        "`_emscore`",
        "emscore.md",
        "emscore",
    ),
    Command(
        "emscore_idf",
        "tools.scoring.emscore.idf",
        "IDF weights of EMScore's tokens, from a corpus of captions",
        "`text`",
        "a JSON file",
        "emscore.md",
    ),
    Command(
        "audio",
        "tools.scoring.audio_similarity.inference",
        "audio against caption or frames: `audio_match av_offset audio_level`",
        "`path text`",
        "`_audio`",
        "audio_similarity.md",
        "audio",
    ),
    Command(
        "quality",
        "tools.scoring.quality.inference",
        "CLIP-IQA, with any pair of prompts: `quality`",
        "`path`",
        "`_quality`",
        "quality.md",
        "quality",
    ),
    Command(
        "dedup",
        "tools.scoring.dedup.inference",
        "near-duplicates: `dup_of dup_score`",
        "`path`",
        "`_dedup`",
        "dedup.md",
        "dedup",
    ),
    Command(
        "scoring",
        "tools.scoring.__main__",
        "several scores (`--scores aes,flow`), each file decoded once",
        "`path`",
        "the suffixes of the scores",
        "scoring.md",
    ),
    Command(
        "camera_motion",
        "tools.caption.camera_motion_detect",
        "pan, tilt, zoom, roll, shake: `cmotion`",
        "`path`",
        "`_cmotion`",
        "camera_motion.md",
    ),
    Command(
        "caption_llava",
        "tools.caption.caption_llava",
        "captions from a local model: `text`",
        "`path`",
        "`_caption`",
        "caption_llava.md",
    ),
    Command(
        "caption_api",
        "tools.caption.caption_api",
        "captions from an OpenAI-compatible server: `text`",
        "`path`",
        "`_caption`",
        "captions.md",
    ),
    Command(
        "caption_checks",
        "tools.caption.caption_checks",
        "problems in captions: `caption_flags`",
        "`text`",
        "`_capcheck`",
        "captions.md",
    ),
    Command(
        "tag",
        "tools.caption.tag",
        "tags from captions: `objects`, `actions`, …",
        "`text`",
        "`_KEY`",
        "captions.md",
    ),
    Command(
        "rate",
        "tools.datasets.rate.__main__",
        "what a person would say of each clip, learned from some ratings: `suitability`",
        "`path` and scores",
        "`_rate`",
        "rate.md",
    ),
    Command(
        "export",
        "tools.export.__main__",
        "what a trainer reads: clips, captions and its configuration, and what it would lose",
        "`path num_frames fps width height text`",
        "a folder and `_clips`",
        "export.md",
    ),
    Command(
        "pipeline",
        "tools.pipeline.__main__",
        "runs a chain of commands from one file; skips what is up to date, goes on after a kill",
        "a TOML file with the steps",
        "what the steps write",
        "pipeline.md",
    ),
    Command(
        "doctor",
        "tools.doctor.__main__",
        "says what this machine can do (packages, codecs, weights …), and how to fix what it cannot",
        "",
        "",
        "troubleshooting.md",
    ),
    Command(
        "operators",
        "tools.operators.__main__",
        "runs a script written for DataFlow or LAS",
        "a script",
        "what the script writes",
        "dataflow.md",
    ),
    Command(
        "weights",
        "tools.models.weights",
        "lists, downloads and checks weight files",
        "",
        "`pretrained_models/`",
        "../pretrained_models/README.md",
    ),
)
"""All commands, in the order in which they are usually run."""

SCORERS = {command.score: command for command in COMMANDS if command.score}
"""The commands whose scores can be computed together, by the name of the score."""

ENGINES = {"daft": "tools.integrations.daft.arguments"}
"""Where a stage can run beside this process (``--engine``), and the module that does it."""
