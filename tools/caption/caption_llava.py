"""Command: caption every image and video of a table with a vision-language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tools import cli
from tools.options import read_options
from tools.stage.command import StageCommand
from tools.stage.options import STATUS, run_command
from tools.stage.stage import weights_later

if TYPE_CHECKING:
    from tools.caption.llava.stage import LlavaStage

COMMAND = StageCommand(
    "tools.caption.caption_llava",
    "tools.caption.llava.stage.LlavaStage",
    "captions",
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
    more={"processes": "tools.caption.llava.parallel.GroupSizes"},
    batch_size=16,
    num_workers=8,
    engines=False,
    ignored={"--prefetch-factor": "N", "--profile-warmup": "N", "--profile": None},
)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the stage, or a part of the model for the rank that does."""
    from tools.caption.llava.parallel import Group, GroupSizes, find_layout
    from tools.models.device import resolve_device

    args = COMMAND.parser().parse_args(argv)
    if args.dry_run == STATUS:  # without the processes that the run has
        return run_command(lambda: COMMAND.make_stage(args), args)
    layout = find_layout(GroupSizes(**read_options(args, GroupSizes)))
    if layout.tp_size == 1:
        return run_command(lambda: COMMAND.make_stage(args), args)
    args.device = resolve_device(args.device)  # the processes of a group meet on a device
    group = Group(layout, args.device)
    with weights_later():
        stage = cast("LlavaStage", COMMAND.make_stage(args))
    stage.spread_over(group)
    code = 0
    if group.leads:
        code = run_command(stage, args)
    else:
        stage.ready()
        group.follow(lambda: stage.load().generate)
    group.close()
    return code


if __name__ == "__main__":
    cli.run(main)
