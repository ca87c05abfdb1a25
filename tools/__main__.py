"""One door to all commands: ``vidsieve NAME ...`` or ``python -m tools NAME ...``."""

from __future__ import annotations

import difflib
import importlib
import sys

from tools import cli
from tools.errors import UserError

COMMANDS: dict[str, tuple[str, str]] = {
    "convert": ("tools.datasets.convert", "make a table from a folder of videos or images"),
    "datautil": ("tools.datasets.datautil", "probe, filter, sort, merge and shard tables"),
    "analyze": ("tools.datasets.analyze", "tell what is in a table, with plots"),
    "split": ("tools.datasets.split", "choose rows for every training bucket"),
    "transform": ("tools.datasets.transform", "resize, crop, extract frames, move into mp4"),
    "save_first_frame": ("tools.datasets.save_first_frame", "save the first frames of videos as images"),
    "check_integrity": ("tools.datasets.check_integrity", "decode everything, say where files are broken"),
    "show": ("tools.datasets.show", "print the first rows of a table"),
    "scene_detect": ("tools.scene_cut.scene_detect", "find the shots of videos"),
    "cut": ("tools.scene_cut.cut", "cut videos into clips at their shots"),
    "aesthetic": ("tools.scoring.aesthetic.inference", "score the aesthetics of images and videos"),
    "flow": ("tools.scoring.optical_flow.inference", "measure how much moves"),
    "technical": ("tools.scoring.technical.inference", "sharpness, black bars, frozen frames, ..."),
    "ocr": ("tools.scoring.ocr.inference", "count the regions of text in the picture"),
    "match": ("tools.scoring.matching.inference", "score how well captions fit"),
    "emscore": ("tools.scoring.emscore.inference", "EMScore of captions against videos and references"),
    "emscore_idf": ("tools.scoring.emscore.idf", "weights of EMScore's tokens from a corpus"),
    "audio": ("tools.scoring.audio_similarity.inference", "compare the sound with captions or pictures"),
    "quality": ("tools.scoring.quality.inference", "score the quality of pictures with CLIP-IQA"),
    "dedup": ("tools.scoring.dedup.inference", "find duplicate images and videos"),
    "scoring": ("tools.scoring.__main__", "several scores in one run, one decode of each file"),
    "camera_motion": ("tools.caption.camera_motion_detect", "say how the camera moves"),
    "caption_llava": ("tools.caption.caption_llava", "captions from a model on this machine"),
    "caption_api": ("tools.caption.caption_api", "captions from an OpenAI-compatible server"),
    "caption_checks": ("tools.caption.caption_checks", "say what is wrong with captions"),
    "tag": ("tools.caption.tag", "objects, actions and other tags from captions"),
    "operators": ("tools.operators.__main__", "run a script that was written for DataFlow or LAS"),
    "weights": ("tools.models.weights", "list, download and check model weights"),
}
"""Name of each command: its module, and what it does."""


def main() -> None:
    """Run the command that the first argument names."""
    cli.run(_dispatch)


def _dispatch() -> int | None:
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print("usage: vidsieve COMMAND ... | --version\n\ncommands (each has --help):")
        for command, (module, help) in COMMANDS.items():
            print(f"  {command:18}{help}\n{'':20}= python -m {module.removesuffix('.__main__')}")
        return 0
    if name == "--version":
        print(cli.version())
        return 0
    name = name.replace("-", "_")
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"{name}: no such command{hint} (vidsieve --help lists them)")
    return importlib.import_module(COMMANDS[name][0]).main(rest)


if __name__ == "__main__":
    main()
