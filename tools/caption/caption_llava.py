"""Command: caption every image and video of a table with a vision-language model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tools import cli

if TYPE_CHECKING:
    from tools.caption.llava.parallel import Group
    from tools.caption.llava.stage import LlavaStage


def parser() -> cli.ArgumentParser:
    """The command line."""
    from tools.media.reading.decoders import DECODERS
    from tools.media.reading.sampling import SAMPLING_POLICIES
    from tools.models.device import PRECISIONS
    from tools.stage.options import add_stage_arguments

    made = cli.ArgumentParser(
        "tools.caption.caption_llava",
        "Caption every image and video with a vision-language model that transformers loads: LLaVA 1.5,\n"
        "NeXT and OneVision, Qwen-VL, and others. Reads column path, adds columns text and text_finish\n"
        "(stop, or length when it was cut off), writes META_caption.csv; under torchrun each group of ranks\n"
        "that shares a model writes META_caption_part<group>.csv.",
        """
        python -m tools.caption.caption_llava meta.csv --model-path llava-v1.6-mistral-7b-hf --prompt video
        torchrun --nproc_per_node 8 --standalone -m tools.caption.caption_llava meta.csv \
--dp-size 8 --tp-size 1 --model-path DIR --prompt video
        torchrun --nproc_per_node 8 --standalone -m tools.caption.caption_llava meta.csv \
--dp-size 4 --tp-size 2 --model-path DIR --prompt video-f3-detail-3ex
        python -m tools.caption.caption_llava meta.csv --model-path DIR --prompt video --existing-text
        """,
    )
    made.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(made, batch_size=16, num_workers=8)
    model = made.add_argument_group("model")
    model.add_argument(
        "--model-path",
        "--model",
        required=True,
        metavar="DIR|ID",
        help="folder of a model in the Hugging Face layout, or its id",
    )
    model.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    model.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="auto: on a GPU that of the checkpoint, on a CPU fp32",
    )
    model.add_argument(
        "--dp-size",
        type=cli.whole_number(1),
        metavar="N",
        help="groups that share the rows (as many as there are processes for)",
    )
    model.add_argument(
        "--tp-size",
        type=cli.whole_number(1),
        default=1,
        metavar="N",
        help="processes that share one model; N times --dp-size is the number of processes (1)",
    )
    model.add_argument(
        "--flash-attention", action="store_true", help="use FlashAttention 2 (a package of its own)"
    )
    model.add_argument(
        "--chat-template", metavar="FILE", help="Jinja template instead of the checkpoint's own"
    )
    asking = made.add_argument_group("question")
    asking.add_argument(
        "--prompt",
        default="video",
        metavar="NAME|FILE|TEXT",
        help="what is asked: a name (see docs/caption_llava.md), a text file, or the question itself (video)",
    )
    asking.add_argument(
        "--existing-text", action="store_true", help="the caption so far (column text) goes into the question"
    )
    asking.add_argument(
        "--num-frames",
        type=cli.whole_number(1),
        metavar="N",
        help="frames of a video (what the prompt's name says, else 1)",
    )
    asking.add_argument(
        "--sampling",
        default="uniform_mid",
        metavar="POLICY",
        help=f"which frames: {', '.join(SAMPLING_POLICIES)} (uniform_mid)",
    )
    asking.add_argument(
        "--resize",
        type=cli.whole_number(0),
        default=336,
        metavar="PIXELS",
        help="scale larger frames down to this shorter side; 0: leave them (336)",
    )
    asking.add_argument(
        "--max-tokens", type=cli.whole_number(1), default=300, metavar="N", help="longest caption (300)"
    )
    asking.add_argument(
        "--tie-margin",
        type=float,
        metavar="F",
        help="ask alone about a row in which two tokens were this close; 0: never (fp32: 0.0001, else 0)",
    )
    asking.add_argument("--decoder", default="pyav", choices=DECODERS, help="video decoder (pyav)")
    for flag in ("--prefetch-factor", "--profile-warmup"):
        asking.add_argument(flag, type=int, metavar="N", help="accepted for Open-Sora's sake; has no effect")
    asking.add_argument("--profile", action="store_true", help="accepted for Open-Sora's sake; has no effect")
    return made


def make_stage(args: argparse.Namespace, group: Group | None = None) -> LlavaStage:
    """The stage that the flags of `parser` ask for; the model is looked for when it gets ready.

    Args:
        args: Parsed arguments.
        group: The processes that the model is spread over; None for this one alone.

    Raises:
        UserError: A value is out of range.
    """
    from tools.caption.llava.stage import LlavaStage
    from tools.caption.prompts import resolve_prompt
    from tools.media.reading.sampling import parse_sampling
    from tools.stage.readiness import postponed

    prompt = resolve_prompt(args.prompt, existing_text=args.existing_text)
    with postponed():
        return LlavaStage(
            prompt=prompt,
            model_path=args.model_path,
            sampling=parse_sampling(
                args.sampling, args.num_frames or prompt.num_frames or _one(args.sampling)
            ),
            resize=args.resize,
            max_tokens=args.max_tokens,
            chat_template=args.chat_template,
            device=args.device,
            precision=args.precision,
            attention="flash_attention_2" if args.flash_attention else "sdpa",
            tie_margin=args.tie_margin,
            decoder=args.decoder,
            group=group,
        )


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage, or a part of the model for the rank that does."""
    args = parser().parse_args(argv)

    from tools.caption.llava.parallel import Group, find_layout
    from tools.models.device import resolve_device
    from tools.stage.options import run_command

    layout = find_layout(args.dp_size, args.tp_size)
    group = None
    if layout.tp_size > 1:  # the processes of a group meet on a device
        args.device = resolve_device(args.device)
        group = Group(layout, args.device)
    stage = make_stage(args, group)
    if group and not group.leads:
        stage.ready()
        group.follow(lambda: stage.load().generate)
        group.close()
        return 0
    code = run_command(stage, args)
    if group:
        group.close()
    return code


def _one(sampling: str) -> int | None:
    """One frame, where the policy counts frames and does not say how many."""
    return 1 if sampling.removeprefix("by_") in ("uniform_mid", "first_middle_last", "opensora") else None


if __name__ == "__main__":
    cli.run(main)
