"""Command: add how well the sound of each video fits its caption, or its pictures."""

from tools import cli
from tools.scoring.audio_similarity.scorer import MODES
from tools.stage.command import StageChoice, StageCommand

_STAGES = {
    "clap": "tools.scoring.audio_similarity.stage.ClapStage",
    "labels": "tools.scoring.audio_similarity.picture_stages.LabelsStage",
    "audio_caption": "tools.scoring.audio_similarity.picture_stages.AudioCaptionStage",
    "compat": "tools.scoring.audio_similarity.picture_stages.CompatStage",
}

COMMAND = StageCommand(
    "tools.scoring.audio_similarity.inference",
    StageChoice("mode", "", _STAGES, MODES),
    "audio similarity",
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
    batch_size=256,
)
main = COMMAND.main

if __name__ == "__main__":
    cli.run(main)
