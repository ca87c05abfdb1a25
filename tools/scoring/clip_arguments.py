"""The flags that all scores with CLIP have, and what they say."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from tools.base.log import LOG
from tools.errors import UserError

if TYPE_CHECKING:
    from tools.media.reading.sampling import Sampling


def add_clip_arguments(
    group: argparse._ArgumentGroup, *, frames: str, sampling: str, clip_model: str = "ViT-L/14"
) -> None:
    """Add the flags on frames, on the model and on embeddings.

    Args:
        group: Where to.
        frames: What ``--num-frames`` is by default, in words.
        sampling: What ``--sampling`` is by default, in words.
        clip_model: Default of ``--clip-model``.
    """
    from tools.media.reading.decoders import DECODERS
    from tools.media.reading.sampling import SAMPLING_POLICIES
    from tools.models.device import PRECISIONS

    group.add_argument("--num-frames", type=int, metavar="N", help=f"frames of a video ({frames})")
    group.add_argument(
        "--sampling",
        metavar="POLICY",
        help=f"which frames: {', '.join(SAMPLING_POLICIES)}; with a value: fps:2 ({sampling})",
    )
    group.add_argument("--start", type=float, metavar="S", help="no frames before this second")
    group.add_argument("--end", type=float, metavar="S", help="no frames after this second")
    group.add_argument("--max-frames", type=int, metavar="N", help="only the first N of the chosen frames")
    group.add_argument(
        "--clip-model",
        default=clip_model,
        metavar="NAME|PATH",
        help=f"ViT-L/14, an OpenAI .pt file, or a Hugging Face folder or id ({clip_model})",
    )
    add_clip_config_argument(group)
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    group.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="auto: fp16 on a GPU, on a CPU bf16 where it has instructions for it, else fp32",
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="run CLIP through torch.compile (a slow start; gains little on a CPU)",
    )
    group.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    group.add_argument(
        "--save-embeddings",
        metavar="FILE",
        help="also write the CLIP feature of each row, the mean of its frames: .npy or .parquet",
    )


def add_clip_config_argument(group: argparse._ActionsContainer) -> None:
    """Add the flag on what the tensors of a CLIP do not tell."""
    group.add_argument(
        "--clip-config",
        metavar="NAME|FILE",
        help="what a file of open_clip is: the name of its model (ViT-H-14), or its open_clip_config.json "
        "(the one beside it)",
    )


def add_long_text_argument(group: argparse._ArgumentGroup, choices: Mapping[str, str], default: str) -> None:
    """Add the flag on texts that are longer than CLIP reads.

    Args:
        group: Where to.
        choices: What can be done with them, and what it means.
        default: One of them.
    """
    group.add_argument(
        "--long-text",
        default=default,
        choices=tuple(choices),
        help="a text of more than CLIP's 77 tokens: "
        + "; ".join(f"{name}: {text}" for name, text in choices.items())
        + f" ({default})",
    )


def clip_options(args: argparse.Namespace, default: Sampling) -> dict[str, Any]:
    """The arguments of a `tools.scoring.clip_stage.CLIPStage`.

    Args:
        args: What `add_clip_arguments` made.
        default: The frames when nothing is said of them.

    Raises:
        UserError: The flags on frames do not go together.
    """
    if args.clip_config:
        _note_other_pictures(args.clip_config)
    names = ("clip_model", "clip_config", "device", "precision", "compile", "decoder", "save_embeddings")
    return {"sampling": _sampling(args, default), **{name: getattr(args, name) for name in names}}


@cache
def _note_other_pictures(config: str) -> None:
    """Say, once, when weights of this name are published that were trained with other pictures."""
    from tools.models.clip_architecture import other_pictures

    for other in other_pictures(config):
        LOG.info(
            "the published weights %s were trained with other pictures; for them say --clip-config %s",
            other.partition(":")[2],
            other,
        )


def _sampling(args: argparse.Namespace, default: Sampling) -> Sampling:
    """A number of frames alone keeps the policy, or spreads them evenly where that has one frame only."""
    from tools.media.reading.sampling import parse_sampling

    if args.sampling:
        chosen = parse_sampling(args.sampling, args.num_frames)
    elif args.num_frames is not None:
        policy = default.policy if default.count is not None else "first_middle_last"
        chosen = parse_sampling(policy, args.num_frames)
    else:
        chosen = default
    limits = {name: getattr(args, name) for name in ("start", "end", "max_frames")}
    limits = {name: value for name, value in limits.items() if value is not None}
    if chosen.max_frames not in (None, limits.get("max_frames", chosen.max_frames)):
        raise UserError(f"--num-frames {args.num_frames} and --max-frames {args.max_frames} contradict")
    return dataclasses.replace(chosen, **limits)
