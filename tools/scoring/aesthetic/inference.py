"""Command: add the LAION aesthetic score of every image and video of a table."""

from __future__ import annotations

import sys

from tools import cli


def _parser() -> cli.ArgumentParser:
    from tools.media.frames import DECODERS
    from tools.media.sampling import SAMPLING_POLICIES
    from tools.models.device import PRECISIONS
    from tools.stage.options import add_stage_arguments

    parser = cli.ArgumentParser(
        "tools.scoring.aesthetic.inference",
        "Add the LAION aesthetic score (about 1 to 10; 5.5 is fair, 6.5 good) of every image and video.\n"
        "Reads column path, adds column aes, writes META_aes.csv; under torchrun each rank writes "
        "META_aes_part<rank>.csv.",
        """
        python -m tools.scoring.aesthetic.inference meta.csv
        python -m tools.scoring.aesthetic.inference meta.csv --num_frames 5 --precision fp32
        torchrun --nproc_per_node 8 -m tools.scoring.aesthetic.inference meta.csv --bs 1024 --num_workers 16
        """,
    )
    parser.add_argument("meta", help="table with a column path: .csv, .parquet or .jsonl")
    add_stage_arguments(parser, batch_size=1024, num_workers=16)
    group = parser.add_argument_group("aesthetic score")
    group.add_argument("--num-frames", type=int, metavar="N", help="frames of a video (3)")
    group.add_argument(
        "--sampling",
        default="first_middle_last",
        metavar="POLICY",
        help=f"which frames: {', '.join(SAMPLING_POLICIES)} (first_middle_last)",
    )
    group.add_argument(
        "--clip-model",
        default="ViT-L/14",
        metavar="NAME|PATH",
        help="ViT-L/14, an OpenAI .pt file, or a Hugging Face folder or id (ViT-L/14)",
    )
    group.add_argument("--head", metavar="PATH", help="weights of the head (pretrained_models/aesthetic.pth)")
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
        "--prefetch-factor", type=int, metavar="N", help="accepted for Open-Sora's sake; has no effect"
    )
    group.add_argument(
        "--skip-if-existing",
        action="store_true",
        help="accepted for Open-Sora's sake; a complete output is never made twice anyway",
    )
    return parser


def main(argv: list[str] | None = None) -> int | None:
    """Parse the command line and run the stage."""
    args = _parser().parse_args(argv)

    from tools.media.sampling import parse_sampling
    from tools.models.device import cpu_multiplies_bf16
    from tools.scoring.aesthetic.stage import AestheticStage
    from tools.stage.options import run_command

    stage = AestheticStage(
        sampling=parse_sampling(args.sampling, args.num_frames),
        clip_model=args.clip_model,
        head=args.head,
        device=args.device,
        precision=args.precision,
        compile=args.compile,
        decoder=args.decoder,
    )
    if stage.device == "cpu" and stage.precision != "fp32" and not cpu_multiplies_bf16():
        print(
            f"warning: this CPU has no instructions for {stage.precision}: a hundred times slower than fp32",
            file=sys.stderr,
        )
    return run_command(stage, args)


if __name__ == "__main__":
    cli.run(main)
