"""Formats that take every clip."""

import pytest

from tools.export.presets import TRAINERS
from tools.export.trainers.judgement import Bucket, Clip

NAMES = ["videofolder", "webdataset", "mds", "litdata", "lance"]


@pytest.mark.parametrize("name", NAMES)
def test_every_clip_is_taken_whole(name):
    trainer = TRAINERS[name]
    setup = trainer.setup(trainer.models[0])
    judgement = trainer.judge(Clip("a.mp4", 33, 17, 7, 12.5), setup)
    (piece,) = judgement.pieces
    assert (piece.bucket, piece.first, piece.last, piece.speed) == (Bucket(33, 17, 7), 0, 6, 1)
    assert trainer.dropped({piece.bucket: 1}, trainer.setup(trainer.models[0], batch_size=64)) == {}


def test_a_dot_in_a_name_splits_a_key_of_webdataset():
    trainer = TRAINERS["webdataset"]
    setup = trainer.setup(trainer.models[0])
    names = {"a.mp4": False, "sub.dir/a.mp4": False, "a.b.mp4": True, "a 1.0.mp4": True}
    for name, warned in names.items():
        assert bool(trainer.judge(Clip(name, 64, 48, 7, 25), setup).warnings) == warned
