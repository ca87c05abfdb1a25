"""Command: add how well the sound of each video fits its caption, or its pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tools import cli
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.scoring.audio_similarity.stage import Moments
    from tools.stage.stage import Stage

_KEYFRAMES = "all_keyframes"
_CAPTIONS = {"clap": "text", "audio_caption": "audio_caption"}
_ONLY = {  # flags that mean nothing in other modes
    "caption_column": ("clap", "audio_caption"),
    "audio_track": ("clap", "labels", "audio_caption"),
    "audio_column": ("clap", "labels", "audio_caption"),
    "window": ("clap", "labels"),
    "clap_model": ("clap", "labels"),
    "labels": ("labels",),
    "hflip": ("labels", "audio_caption", "compat"),
    "vflip": ("labels", "audio_caption", "compat"),
    "clip_model": ("labels", "audio_caption", "compat"),
    "clip_config": ("labels", "audio_caption", "compat"),
    "save_embeddings": ("labels", "audio_caption", "compat"),
}


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.models.clap import CLAP_MODEL
    from tools.scoring.audio_similarity.scorer import MODES, REDUCE
    from tools.scoring.clip_arguments import add_clip_arguments
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.scoring.audio_similarity.inference",
        "Add how well the sound of each video fits its caption, or its pictures.\n"
        "Reads column path (and others, see --mode), adds columns audio_match, audio_mode, av_offset\n"
        "(seconds from the first frame to the first sample) and audio_level (dBFS), writes META_audio.csv;\n"
        "under torchrun each rank writes META_audio_part<rank>.csv. Without sound, or with nothing but\n"
        "silence, a row has no score, and a reason in the failures file.",
        """
        python -m tools.scoring.audio_similarity.inference meta.csv
        python -m tools.scoring.audio_similarity.inference meta.csv --mode labels --num_frames 5
        python -m tools.scoring.audio_similarity.inference meta.csv --mode audio_caption --audio-column wav
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=256, num_workers=16, engine=True)
    group = made.add_argument_group("audio similarity")
    modes = "; ".join(f"{name}: {text}" for name, text in MODES.items())
    group.add_argument(
        "--mode", default="clap", choices=tuple(MODES), help=f"{modes} (clap)".replace("%", "%%")
    )
    group.add_argument(
        "--caption-column",
        metavar="NAME",
        help="column with the caption (text; audio_caption: audio_caption)",
    )
    group.add_argument(
        "--audio-column",
        metavar="NAME",
        help="column with files that have the sound; without, and for empty cells, the video's own track",
    )
    group.add_argument(
        "--audio-track",
        metavar="N|LANG",
        help="sound track by number from 0 on, or by language: eng, en (that marked default)",
    )
    group.add_argument(
        "--reduce", default="avg", choices=tuple(REDUCE), help="several moments become one score (avg)"
    )
    group.add_argument(
        "--window",
        type=cli.positive_number,
        metavar="S",
        help="seconds of sound at a time (what CLAP takes: 10)",
    )
    group.add_argument(
        "--silence", type=float, default=-60.0, metavar="DBFS", help="a peak below this is silence (-60)"
    )
    group.add_argument(
        "--clap-model",
        default=None,
        metavar="NAME|PATH",
        help=f"Hugging Face folder or id of a CLAP ({CLAP_MODEL})",
    )
    group.add_argument(
        "--labels", metavar="FILE", help="own list for mode labels: a line for each, 'seen | heard'"
    )
    group.add_argument("--hflip", action="store_true", help="score mirrored copies of the frames as well")
    group.add_argument("--vflip", action="store_true", help="score copies turned upside down as well")
    add_clip_arguments(
        group,
        frames="3",
        sampling=f"first_middle_last; clap: as many windows as cover the video; {_KEYFRAMES}: shot changes",
        clip_model="ViT-L/14; compat: ViT-B/32",
    )
    made.set_defaults(clip_model=None)
    return made


def make_stage(args: argparse.Namespace) -> Stage:
    """The stage that the flags of `parser` ask for.

    Raises:
        UserError: Weights are missing, or flags do not go together.
    """
    from tools.scoring.audio_similarity.stage import ClapStage

    for name, modes in _ONLY.items():
        if getattr(args, name) and args.mode not in modes:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} is for --mode {' or '.join(modes)}, not for {args.mode}")
    options: dict[str, Any] = {"reduce": args.reduce, "silence": args.silence}
    if args.mode in _CAPTIONS:
        options["caption_column"] = args.caption_column or _CAPTIONS[args.mode]
    if args.mode != "compat":
        options |= {"audio_column": args.audio_column, "audio_track": args.audio_track}
    if args.mode == "clap":
        moments = _clap_moments(args)
        return ClapStage(
            moments=moments,
            window=args.window,
            clap_model=args.clap_model or "",
            device=args.device,
            **options,
        )
    return _picture_stage(args, options)


def _picture_stage(args: argparse.Namespace, options: dict[str, Any]) -> Stage:
    from tools.scoring.audio_similarity import picture_stages
    from tools.scoring.clip_arguments import clip_options
    from tools.scoring.clip_stage import FIRST_MIDDLE_LAST

    kind = {
        "labels": picture_stages.LabelsStage,
        "audio_caption": picture_stages.AudioCaptionStage,
        "compat": picture_stages.CompatStage,
    }[args.mode]
    if args.mode == "labels":
        options |= {"labels": args.labels, "window": args.window, "clap_model": args.clap_model or ""}
    keyframes = _keyframes(args)
    args.clip_model = args.clip_model or ("ViT-B/32" if args.mode == "compat" else "ViT-L/14")
    options |= clip_options(args, FIRST_MIDDLE_LAST)
    if keyframes:
        options["sampling"] = keyframes
    return kind(horizontal_flip=args.hflip, vertical_flip=args.vflip, **options)


def _clap_moments(args: argparse.Namespace) -> Moments | None:
    """Moments when frames are asked for; else windows cover the video."""
    from tools.scoring.clip_arguments import clip_options
    from tools.scoring.clip_stage import FIRST_MIDDLE_LAST

    asked = any(
        getattr(args, name) is not None for name in ("sampling", "num_frames", "start", "end", "max_frames")
    )
    keyframes = _keyframes(args)
    return keyframes or (clip_options(args, FIRST_MIDDLE_LAST)["sampling"] if asked else None)


def _keyframes(args: argparse.Namespace) -> Moments | None:
    """Shot changes, when they are asked for; takes that out of the arguments."""
    from tools.scoring.audio_similarity.stage import ShotChanges

    if args.sampling != _KEYFRAMES:
        return None
    for name in ("num_frames", "start", "end", "max_frames"):
        if getattr(args, name) is not None:
            raise UserError(f"--sampling {_KEYFRAMES} takes them all: --{name.replace('_', '-')} has no say")
    args.sampling = None
    return ShotChanges()


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = parser().parse_args(argv)

    from tools.stage.options import run_command

    return run_command(lambda: make_stage(args), args)


if __name__ == "__main__":
    cli.run(main)
