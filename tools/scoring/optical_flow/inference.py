"""Command: add optical flow, how much moves in every video of a table."""

from tools import cli
from tools.stage.command import StageCommand

COMMAND = StageCommand(
    "tools.scoring.optical_flow.inference",
    "tools.scoring.optical_flow.stage.OpticalFlowStage",
    "optical flow",
    "Add optical flow: how much moves in every video.\n"
    "Reads column path, adds flow (Open-Sora's score), motion (diagonals of the frame per second, at\n"
    "any size, length and frame rate) and motion_p95 (of its fast parts), writes META_flow.csv;\n"
    "under torchrun each rank writes META_flow_part<rank>.csv.",
    """
    python -m tools.scoring.optical_flow.inference meta.csv
    python -m tools.scoring.optical_flow.inference meta.csv --method dis --split-camera
    torchrun --nproc_per_node 8 -m tools.scoring.optical_flow.inference meta.csv --bs 16 --num_workers 16
    """,
    batch_size=8,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
