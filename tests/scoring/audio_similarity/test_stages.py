"""The four ways of comparing sound, against independently computed features (random weights)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.sounds import spoil_sound
from tests.models.clap_files import RATE, SmallClap
from tests.scoring.clip_files import SmallClip, pictures
from tests.support import make_video
from tools.errors import MediaError, UserError
from tools.media.reading.sampling import Sampling
from tools.media.reading.sound.audio import read_audio
from tools.scoring.audio_similarity.labels import Label, read_labels
from tools.scoring.audio_similarity.moments import ShotChanges
from tools.scoring.audio_similarity.picture_stages import AudioCaptionStage, CompatStage, LabelsStage
from tools.scoring.audio_similarity.scorer import AudioTextScorer, overlap
from tools.scoring.audio_similarity.sound_stage import SIMILARITIES
from tools.scoring.audio_similarity.stage import ClapStage
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.stage import FAILURES, REMARKS, Stage

OPTIONS = RunOptions(num_workers=0, progress=False)
CAPTION = "the sound of a dog"
LABELS = "# own\n\nthe cat | a cat\ngood harbour | the sea\na dog | a dog\n"
EMPTY = {"audio_match": None, SIMILARITIES: None}


@pytest.fixture
def labels(tmp_path) -> str:
    path = tmp_path / "labels.txt"
    path.write_text(LABELS)
    return str(path)


def clap_stage(small_clap: SmallClap, **options) -> ClapStage:
    return ClapStage(clap_model=str(small_clap.folder), device="cpu", details=True, **options)


def clip_stage(kind: type[Stage], small_clip: SmallClip, **options) -> Stage:
    return kind(clip_model=str(small_clip.weights), device="cpu", precision="fp32", details=True, **options)


def window(path: Path, start: float, end: float) -> np.ndarray:
    """The sound from start to end as CLAP takes it."""
    return read_audio(path, RATE).samples[round(start * RATE) : round(end * RATE)]


def run(stage: Stage, *rows: dict) -> list:
    return map_rows(stage, [{**row, "path": str(row["path"])} for row in rows], OPTIONS)


@pytest.mark.parametrize(("reduce", "join"), [("avg", np.mean), ("max", np.max), ("min", np.min)])
def test_clap_is_the_cosine_of_sound_and_caption(small_clap, films, reduce, join):
    # 4.44 s are covered by three windows of 2 s
    sounds = small_clap.audio([window(films["parts"], start, start + 2) for start in (0, 1.22, 2.44)])
    expected = sounds @ small_clap.texts([CAPTION])[0]
    assert np.ptp(expected) > 1e-3
    (outcome,) = run(clap_stage(small_clap, reduce=reduce), {"path": films["parts"], "text": CAPTION})
    assert outcome[SIMILARITIES] == pytest.approx(expected, abs=1e-5)
    assert outcome["audio_match"] == pytest.approx(join(expected), abs=1e-5)
    assert outcome["audio_mode"] == "clap" and outcome["av_offset"] == 0.0
    assert outcome[REMARKS] == outcome[FAILURES] == []
    samples = read_audio(films["parts"], 48_000, end=4.44).samples
    assert outcome["audio_level"] == pytest.approx(20 * np.log10(np.sqrt(np.mean(samples**2))), abs=0.2)


def test_clap_at_the_moments_of_frames(small_clap, films):
    stage = clap_stage(small_clap, sampling=Sampling("first_middle_last", 3), window=1.0)
    # frames 0, 55 and 110 (of 111) at 25 per second; windows do not leave the 4.44 s
    spans = [(0.0, 1.0), (2.2 - 0.5, 2.2 + 0.5), (3.44, 4.44)]
    expected = small_clap.audio([window(films["parts"], *span) for span in spans])
    (outcome,) = run(stage, {"path": films["parts"], "text": CAPTION})
    assert outcome[SIMILARITIES] == pytest.approx(expected @ small_clap.texts([CAPTION])[0], abs=1e-4)


def test_a_clip_that_is_shorter_than_a_window(small_clap, films):
    (expected,) = small_clap.audio([window(films["short"], 0, 1.0)]) @ small_clap.texts([CAPTION])[0]
    moments = Sampling("first_middle_last", 5)
    cover, five = (
        run(clap_stage(small_clap, sampling=own), {"path": films["short"], "text": CAPTION})[0]
        for own in (None, moments)
    )
    assert cover[SIMILARITIES] == pytest.approx([expected], abs=1e-4)
    assert five[SIMILARITIES] == cover[SIMILARITIES] * 5


def test_rows_without_sound_have_a_reason_and_no_number(small_clap, films):
    rows = [{"path": films[name], "text": CAPTION} for name in ("silent", "mute", "parts")]
    silent, mute, parts = run(clap_stage(small_clap), *rows)
    assert {name: silent[name] for name in EMPTY} == EMPTY and silent["audio_level"] == -120
    assert silent[FAILURES][0][0] == "silent"
    assert isinstance(mute, MediaError) and mute.kind == "no_audio" and mute.path == str(films["mute"])
    assert parts["audio_match"] is not None
    missing, empty = run(
        clap_stage(small_clap),
        {"path": "none.mp4", "text": CAPTION},
        {"path": films["parts"], "text": " "},
    )
    assert missing.kind == "missing" and empty.kind == "bad_value" and "column text" in empty.message


def test_a_broken_track_beside_whole_pictures(small_clap, clip_environment, films, labels, tmp_path):
    row = {"path": spoil_sound(films["short"], tmp_path / "broken.mp4", keep=3), "text": CAPTION}
    clap = {"clap_model": str(small_clap.folder), "labels": labels}
    for stage in (clap_stage(small_clap), clip_stage(LabelsStage, clip_environment, **clap)):
        (failed,) = run(stage, row)
        assert isinstance(failed, MediaError) and failed.kind == "decode" and "packets" in failed.message
    (compat,) = run(clip_stage(CompatStage, clip_environment), row)
    assert compat["audio_match"] is not None  # the pictures are whole


def test_real_videos(small_clap, videos_dir):
    names = ["moviepy_chaplin.mp4", "tc_nasa_13013.mp4", "iscc_demo.mpg", "gradio_a.mp4", "skv_bikes.mp4"]
    rows = [{"path": videos_dir / name, "text": CAPTION} for name in names]
    *heard, silent, mute = run(clap_stage(small_clap), *rows)
    assert all(own["audio_match"] is not None and own[FAILURES] == [] for own in heard)
    # start times that the headers of the MPEG file give: sound 0.519856 s, pictures 0.541667 s
    assert [own["av_offset"] for own in heard] == pytest.approx([0, 0, 0.519856 - 0.541667], abs=1e-5)
    assert silent["audio_match"] is None and silent[FAILURES][0][0] == "silent"
    assert mute.kind == "no_audio"


def test_sound_in_a_file_of_its_own(small_clap, films):
    stage = clap_stage(small_clap, audio_column="wav", caption_column="caption")
    assert stage.required_columns == ("path", "caption", "wav")
    mute, own, alone, flat, lost = run(
        stage,
        {"path": films["mute"], "caption": CAPTION, "wav": str(films["wav"])},
        {"path": films["short"], "caption": CAPTION, "wav": ""},
        {"path": films["wav"], "caption": CAPTION, "wav": None},
        {"path": films["parts"], "caption": CAPTION, "wav": str(films["flat"])},
        {"path": films["parts"], "caption": CAPTION, "wav": "lost.wav"},
    )
    text = small_clap.texts([CAPTION])[0]
    assert mute["audio_match"] == pytest.approx(
        small_clap.audio([window(films["wav"], 0, 1.2)])[0] @ text, abs=1e-4
    )
    assert mute["av_offset"] is None
    assert own["audio_match"] == pytest.approx(
        small_clap.audio([window(films["short"], 0, 1)])[0] @ text, abs=1e-4
    )
    spans = small_clap.audio([window(films["wav"], start, start + 2) for start in (0, 1)])
    assert alone[SIMILARITIES] == pytest.approx(spans @ text, abs=1e-4)
    assert flat[FAILURES][0][0] == "silent" and flat["audio_match"] is None
    assert (lost.kind, lost.path) == ("missing", str(films["parts"]))
    assert lost.message.startswith("lost.wav: ")


def test_a_caption_that_is_cut_is_told(small_clap, films):
    (outcome,) = run(clap_stage(small_clap), {"path": films["short"], "text": "the thing " * 40})
    assert outcome["audio_match"] is not None and "62 tokens" in outcome[REMARKS][0]


def test_audio_caption_is_clip_on_frames_and_the_text(clip_environment, films):
    stage = clip_stage(AudioCaptionStage, clip_environment)
    frames = pictures(films["parts"])
    images = clip_environment.images([frames[i] for i in (0, 55, 110)])
    expected = images @ clip_environment.texts(["a good cat"])[0]
    assert np.ptp(expected) > 1e-4
    found, mute, silent = run(
        stage, *({"path": films[name], "audio_caption": "a good cat"} for name in ("parts", "mute", "silent"))
    )
    assert found[SIMILARITIES] == pytest.approx(expected, abs=1e-6)
    assert found["audio_match"] == pytest.approx(expected.mean(), abs=1e-6)
    assert found["audio_mode"] == "audio_caption" and found["av_offset"] == 0.0
    # a text on the sound of a film that has none
    assert mute.kind == "no_audio" and silent["audio_match"] is None and silent[FAILURES][0][0] == "silent"


@pytest.mark.parametrize("flips", [(True, False), (False, True), (True, True)])
def test_flipped_copies_are_added(clip_environment, films, flips):
    horizontal, vertical = flips
    stage = clip_stage(
        AudioCaptionStage,
        clip_environment,
        sampling=Sampling("first_middle_last", 2),
        horizontal_flip=horizontal,
        vertical_flip=vertical,
    )
    (outcome,) = run(stage, {"path": films["parts"], "audio_caption": "the cat"})
    shown = []
    for frame in (pictures(films["parts"])[i] for i in (0, 110)):
        shown.append(frame)
        shown += [frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT)] * horizontal
        shown += [frame.transpose(Image.Transpose.FLIP_TOP_BOTTOM)] * vertical
    expected = clip_environment.images(shown) @ clip_environment.texts(["the cat"])[0]
    assert outcome[SIMILARITIES] == pytest.approx(expected, abs=1e-6)


def test_compat_is_the_constant_text_and_says_so(clip_environment, films):
    stage = clip_stage(CompatStage, clip_environment)
    found, mute = run(stage, {"path": films["parts"]}, {"path": films["mute"]})
    frames = pictures(films["parts"])
    images = clip_environment.images([frames[i] for i in (0, 55, 110)])
    expected = images @ clip_environment.texts(["audio sound"])[0]
    assert found[SIMILARITIES] == pytest.approx(expected, abs=1e-6)
    for outcome in (found, mute):  # the original gives numbers for films without sound as well
        assert outcome["audio_mode"] == "compat" and outcome["audio_match"] is not None
        assert outcome["av_offset"] is None and outcome["audio_level"] is None
        assert "the sound was not used" in outcome[REMARKS][0]


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_labels_compares_what_is_seen_with_what_is_heard(clip_environment, small_clap, films, labels):
    stage = clip_stage(
        LabelsStage, clip_environment, clap_model=str(small_clap.folder), labels=labels, horizontal_flip=True
    )
    frames = pictures(films["parts"])
    shown = [
        p for i in (0, 55, 110) for p in (frames[i], frames[i].transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    ]
    seen = (
        clip_environment.images(shown)
        @ clip_environment.texts(["a photo of the cat", "a photo of good harbour", "a photo of a dog"]).T
    )
    sounds = [window(films["parts"], start, start + 2) for start in (0, 1.2, 2.44)]
    heard = (
        small_clap.audio(sounds)
        @ small_clap.texts(["the sound of a cat", "the sound of the sea", "the sound of a dog"]).T
    )
    scale = np.exp(clip_environment.state["logit_scale"].item())
    p, q = softmax(scale * seen), np.repeat(softmax(heard / 0.07), 2, axis=0)
    expected = np.sqrt(p * q).sum(axis=1)
    assert np.ptp(expected) > 1e-3
    (outcome,) = run(stage, {"path": films["parts"]})
    assert outcome[SIMILARITIES] == pytest.approx(expected, abs=1e-4)
    assert outcome["audio_match"] == pytest.approx(expected.mean(), abs=1e-4)
    assert outcome["audio_mode"] == "labels"


def test_labels_only_where_there_is_sound(clip_environment, small_clap, films, labels):
    stage = clip_stage(LabelsStage, clip_environment, clap_model=str(small_clap.folder), labels=labels)
    half, mute, silent = run(stage, *({"path": films[name]} for name in ("half", "mute", "silent")))
    assert len(half[SIMILARITIES]) == 1 and len(half[REMARKS]) == 1  # frames at 0, 3 and 6 s; sound until 2.2
    assert mute.kind == "no_audio" and silent["audio_match"] is None and silent["audio_level"] == -120


def test_overlap_of_known_distributions():
    # hand computed: sqrt(.5*.5)*2 = 1; sqrt(.9*.1)*2 = .6; nothing in common = 0
    p, q = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.1, 0.9], [0.0, 1.0]])
    assert overlap(p, q) == pytest.approx([1.0, 0.6, 0.0])


def test_shot_changes(clip_environment, films, tmp_path):
    grey = [np.full((96, 160, 3), value, np.uint8) for value in (60, 60, 80, 150, 150, 100, 200)]
    stage = clip_stage(CompatStage, clip_environment, sampling=ShotChanges())
    video = make_video(tmp_path / "shots.mp4", pictures=grey)
    (outcome,) = run(stage, {"path": video})
    shown = pictures(video)
    expected = clip_environment.images(
        [shown[i] for i in (0, 3, 5, 6)]
    )  # the step from 60 to 80 is too small
    assert outcome[SIMILARITIES] == pytest.approx(
        expected @ clip_environment.texts(["audio sound"])[0], abs=1e-6
    )


def test_shot_changes_of_real_videos_are_those_of_full_pictures(videos_dir):
    from tools.media.reading.requests import FrameRequest, read_requests

    path = videos_dir / "skv_bikes.mp4"
    grey = [np.asarray(picture.convert("L"), np.float64) for picture in pictures(path)]
    expected = [0] + [i for i in range(1, len(grey)) if np.abs(grey[i] - grey[i - 1]).mean() > 30]
    assert len(expected) > 3
    (frames,) = read_requests(path, [FrameRequest(None, (128, 72))])
    assert ShotChanges().choose(frames.thumbnails) == expected


def test_a_row_scores_the_same_in_any_batch(clip_environment, small_clap, films, labels):
    stages = [
        (clap_stage(small_clap), {"text": CAPTION}),
        (clip_stage(AudioCaptionStage, clip_environment), {"audio_caption": "the cat"}),
        (clip_stage(CompatStage, clip_environment), {}),
        (
            clip_stage(LabelsStage, clip_environment, clap_model=str(small_clap.folder), labels=labels),
            {},
        ),
    ]
    for stage, cells in stages:
        rows = [{"path": str(films[name]), **cells} for name in ("parts", "short", "half", "quiet", "silent")]
        together = map_rows(stage, rows, OPTIONS)
        alone = [
            map_rows(stage, [row], RunOptions(batch_size=1, num_workers=0, progress=False))[0] for row in rows
        ]
        assert alone == together, stage.mode
        assert map_rows(stage, rows[::-1], OPTIONS)[::-1] == together
    # and in worker processes
    workers = RunOptions(batch_size=2, num_workers=2, progress=False)
    assert map_rows(stage, rows, workers) == together


def test_what_was_asked_changes_with_what_changes_values(clip_environment, small_clap, labels, tmp_path):
    same = clap_stage(small_clap).config()
    assert clap_stage(small_clap).config() == same
    for options in (
        {"caption_column": "c"},
        {"audio_column": "a"},
        {"reduce": "max"},
        {"window": 1.0},
        {"silence": -50.0},
        {"sampling": Sampling("first")},
        {"sampling": ShotChanges()},
    ):
        assert clap_stage(small_clap, **options).config() != same
    other = SmallClap(tmp_path / "other", seed=1)
    assert clap_stage(other).config() != same
    clap = {"clap_model": str(small_clap.folder)}
    same = clip_stage(LabelsStage, clip_environment, **clap).config()
    for options in (
        {"labels": labels},
        {"window": 1.0},
        {"reduce": "min"},
        {"horizontal_flip": True},
        {"vertical_flip": True},
        {"sampling": Sampling("first")},
    ):
        assert clip_stage(LabelsStage, clip_environment, **clap, **options).config() != same
    asked = [clip_stage(kind, clip_environment).config() for kind in (AudioCaptionStage, CompatStage)]
    assert asked[0] != asked[1]


def test_the_list_of_labels(tmp_path):
    own = read_labels()
    assert 100 <= len(own) <= 130
    for kind in ("seen", "heard"):
        texts = [getattr(label, kind) for label in own]
        assert len(set(texts)) == len(texts) and all(text.strip() for text in texts)
    path = tmp_path / "l.txt"
    path.write_text("a bell\n# no\na dog | barking\n\na bell\n", encoding="utf-8")
    assert read_labels(path) == (Label("a bell", "a bell"), Label("a dog", "barking"))
    path.write_text("one\n")
    with pytest.raises(UserError, match="1 labels"):
        read_labels(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(tmp_path / "none.txt")


def test_options_are_checked(clip_environment, small_clap, tmp_path):
    with pytest.raises(UserError, match="avg, max, min"):
        clap_stage(small_clap, reduce="mean")
    with pytest.raises(UserError, match="window"):
        clap_stage(small_clap, window=3.0)  # this CLAP takes 2 s
    long = tmp_path / "long.txt"
    long.write_text("the cat\n" + "the good harbour of the fishermen " * 3 + "\n")
    stage = clip_stage(LabelsStage, clip_environment, clap_model=str(small_clap.folder), labels=str(long))
    with pytest.raises(UserError, match="longer than this CLIP takes"):
        stage.setup()


def test_the_library_scores_pairs(small_clap, films):
    sounds = [window(films["parts"], 0, 2), window(films["short"], 0, 0.8)]
    texts = [CAPTION, "a bell"]
    expected = (small_clap.audio(sounds) * small_clap.texts(texts)).sum(axis=1)
    scorer = AudioTextScorer(small_clap.folder, device="cpu")
    assert scorer.score(sounds, texts) == pytest.approx(expected, abs=1e-5)
    assert scorer.score([], []).shape == (0,)
    with pytest.raises(ValueError, match="2 sounds and 1 texts"):
        scorer.score(sounds, texts[:1])
