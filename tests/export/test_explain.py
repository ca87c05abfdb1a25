"""All clips together: counts and seconds worked by hand."""

import pytest

from tools.export.explain import explain
from tools.export.presets import preset
from tools.export.trainers.judgement import Bucket, Clip


def clips():
    return [
        Clip("wide.mp4", 1280, 720, 81, 16, "A dog."),
        Clip("wide too.mp4", 1280, 720, 96, 16, "A cat."),
        Clip("tall.mp4", 720, 1280, 160, 16, "A tower."),
        Clip("short.mp4", 1280, 720, 32, 16, "A blink."),
        Clip("mute.mp4", 1280, 720, 160, 16, None),
        Clip("broken.mp4", 0, 0, 0, float("nan"), "?"),
    ]


def explained(name="wan2.1@musubi", several=None, **settings):
    found = preset(name)
    return explain(several or clips(), found.trainer, found.trainer.setup(found.model, **settings))


def test_each_clip_in_the_order_given():
    found = explained("wan2.1@diffusion-pipe")
    assert [one.clip.name for one in found.clips] == [clip.name for clip in clips()]
    assert [one.judgement.loss.kind if one.judgement.loss else "" for one in found.clips] == [
        "",
        "",
        "",
        "too short",
        "no caption",
        "unreadable",
    ]


def test_counts_and_seconds():
    summary = explained().summary
    assert (summary.clips, summary.used, summary.pieces) == (6, 3, 3)
    assert summary.seconds == pytest.approx((81 + 96 + 160 + 32 + 160) / 16)
    assert summary.seconds_used == pytest.approx(3 * 81 / 16)
    wide, tall = summary.buckets.items()
    assert (wide[0], wide[1].pieces, wide[1].clips) == (Bucket(832, 480, 81), 2, 2)
    assert wide[1].seconds == pytest.approx(2 * 81 / 16)
    assert (tall[0], tall[1].pieces) == (Bucket(480, 832, 81), 1)


def test_losses_and_their_remedies():
    lost = explained().summary.lost
    assert {kind: (loss.clips, loss.examples) for kind, loss in lost.items()} == {
        "no caption": (1, ["mute.mp4"]),
        "too short": (1, ["short.mp4"]),
        "unreadable": (1, ["broken.mp4"]),
    }
    assert lost["too short"].seconds == pytest.approx(2)
    assert "81" in lost["too short"].remedy
    assert lost["unreadable"].seconds == 0


def test_a_clip_that_counts_several_times_shows_its_frames_once():
    summary = explained(frames=(25, 45, 81)).summary
    # 3 clips with 3 pieces, and the clip of 32 frames with 1.
    assert (summary.used, summary.pieces) == (4, 10)
    assert summary.seconds_used == pytest.approx((3 * 81 + 25) / 16)
    assert summary.warned["counted several times"].clips == 3


def test_overlapping_pieces_are_counted_once():
    clip = [Clip("a.mp4", 1280, 720, 100, 16, "A dog.")]
    options = {"frame_extraction": "slide", "frame_stride": 10}
    summary = explained(several=clip, frames=(81,), options=options).summary
    # Frames 0 to 80 and 10 to 90.
    assert (summary.pieces, summary.seconds_used) == (2, pytest.approx(91 / 16))


def test_pieces_at_random_places_show_what_one_draw_spans():
    clip = [Clip("a.mp4", 1280, 720, 400, 32, "A dog.")]
    # 81 frames, each second one: 161 of 400 at 32 fps.
    summary = explained("wan2.1@videox-fun", clip).summary
    assert summary.seconds_used == pytest.approx(161 / 32)
    assert [line.seconds for line in summary.buckets.values()] == [pytest.approx(161 / 32)]
    clip = [Clip("a.mp4", 1280, 704, 400, 25, "A dog.")]
    assert explained("cosmos-predict2.5@cosmos", clip).summary.seconds_used == pytest.approx(93 / 25)


def test_a_bucket_smaller_than_the_batch_of_all_gpus():
    summary = explained("wan2.1@diffusion-pipe", batch_size=2).summary
    assert [
        (line.pieces, line.dropped.pieces if line.dropped else 0) for line in summary.buckets.values()
    ] == [
        (2, 0),
        (1, 1),
    ]
    assert (summary.dropped, len(summary.small_buckets)) == (1, 1)
    summary = explained("wan2.1@diffusion-pipe", batch_size=2, gpus=2).summary
    assert (summary.dropped, len(summary.small_buckets)) == (3, 2)


def test_what_ends_the_training():
    assert explained("ltx-2@ltx-trainer").summary.ends_training == []
    several = [Clip("a.mp4", 1280, 720, 121, 24, "A."), Clip("b.mp4", 1280, 720, 49, 24, "B.")]
    summary = explained("ltx-2@ltx-trainer", several, frames=(49, 121), batch_size=2).summary
    assert len(summary.ends_training) == 1
    assert "shapes differ" in summary.ends_training[0]


def test_no_clips():
    found = preset("wan2.1@musubi")
    explanation = explain([], found.trainer, found.trainer.setup(found.model))
    assert (explanation.clips, explanation.summary.clips, explanation.summary.buckets) == ([], 0, {})
