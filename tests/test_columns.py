"""The vocabulary of tables: it has every column that a stage makes, and says what each is measured on."""

from __future__ import annotations

import pytest

from tests.support import MEASURED_ON_FILE, NOT_MEASURED_ON_FILE
from tools.caption.api.stage import CaptionApiStage
from tools.caption.camera_motion.stage import CameraMotionStage
from tools.caption.checks.stage import CaptionCheckStage
from tools.columns import COLUMNS, measured_on
from tools.datasets.integrity_stage import IntegrityStage
from tools.datasets.probe_stage import ProbeStage
from tools.datasets.transforms.frames import FirstFrameStage, FrameStage
from tools.datasets.transforms.video_stages import RemuxStage, VideoStage
from tools.scene_cut.clips.stage import CutStage
from tools.scene_cut.shots.stage import SceneDetectStage
from tools.scoring.aesthetic.stage import AestheticStage
from tools.scoring.audio_similarity.stage import ClapStage
from tools.scoring.emscore.stage import EMScoreStage
from tools.scoring.matching.stage import MatchingStage
from tools.scoring.optical_flow.stage import OpticalFlowStage
from tools.scoring.quality.stage import QualityStage
from tools.scoring.technical.stage import TechnicalStage
from tools.stage.stage import SIDE_OUTPUTS

OF_FILE = {
    **ProbeStage.output_columns,
    **IntegrityStage.output_columns,
    **SceneDetectStage.output_columns,
    **CameraMotionStage.output_columns,
    **FirstFrameStage.output_columns,
    **AestheticStage.output_columns,
    **ClapStage.output_columns,
    **EMScoreStage.output_columns,
    **MatchingStage.output_columns,
    **OpticalFlowStage.output_columns,
    **QualityStage.output_columns,
    **TechnicalStage().output_columns,
}
OTHERS = {
    **CaptionApiStage.output_columns,
    **CaptionCheckStage.output_columns,
    **CutStage.row_columns,
    **FrameStage.row_columns,
    **RemuxStage.output_columns,
    **VideoStage.output_columns,
}


@pytest.mark.parametrize("name", sorted({*OF_FILE, *OTHERS} - {*SIDE_OUTPUTS, "rows"}))
def test_a_column_that_a_stage_makes_is_in_the_vocabulary(name: str) -> None:
    assert COLUMNS[name].measured_on in ("file", "clip", "caption", "table")


def test_what_looks_at_files_is_measured_on_them() -> None:
    names = [name for name in OF_FILE if name not in SIDE_OUTPUTS]
    assert measured_on(names, "file") == names
    assert measured_on(MEASURED_ON_FILE, "file") == MEASURED_ON_FILE
    assert measured_on(NOT_MEASURED_ON_FILE, "file") == []


def test_scores_are_measured_on_files() -> None:
    scores = [name for name, column in COLUMNS.items() if column.score]
    assert measured_on(scores, "file") == scores


def test_columns_of_the_users_own_are_measured_on_nothing_we_know() -> None:
    assert measured_on(["camera", "my_score"], "file", "clip", "caption", "table") == []
