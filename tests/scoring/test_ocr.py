"""Regions of text: against rendered text, RapidOCR, geometry worked out otherwise, and real clips."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling
from tools.scoring.ocr.detection import Candidate, clockwise, network_size
from tools.scoring.ocr.reading import Reading, cut_out
from tools.scoring.ocr.scorer import OcrScorer, covered, looks_like_line, reading_order

pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
pytest.importorskip("rapidocr", reason="the extra ocr is not installed")

ROOT = Path(__file__).resolve().parents[2]
Line = tuple[str, int, int, int]  # text, left, top, size of the letters in pixels


@pytest.fixture(scope="module")
def scorer() -> OcrScorer:
    return OcrScorer(device="cpu")


@pytest.fixture(scope="module")
def raw_scorer() -> OcrScorer:
    return OcrScorer(device="cpu", check="none")


def background(width: int, height: int) -> Image.Image:
    """Soft coloured clouds: a picture without text and without edges."""
    blocks = np.random.default_rng(0).integers(20, 140, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)


def render(width: int, height: int, lines: list[Line], font: str | None = None) -> tuple[np.ndarray, list]:
    """White text on clouds, and the boxes of its ink: left, top, right, bottom."""
    picture = background(width, height)
    draw = ImageDraw.Draw(picture)
    boxes = []
    for text, left, top, size in lines:
        face = ImageFont.truetype(font, size) if font else ImageFont.load_default(size)
        draw.text((left, top), text, font=face, fill="white")
        boxes.append(draw.textbbox((left, top), text, font=face))
    return np.asarray(picture), boxes


def ends(width: int, height: int, size: int) -> list[Line]:
    """A line in each corner as near as it goes, in the middle of each side, and in the middle."""
    text = "breaking news"
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
        (0, 0), text, font=ImageFont.load_default(size)
    )
    columns = (-left, (width - right) // 2, width - right)
    rows = (-top, (height - bottom) // 2, height - bottom)
    return [(text, x, y, size) for y, x in itertools.product(rows, columns)]


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1920, 1080, 16), (1280, 720, 36), (320, 240, 10), (480, 854, 20), (641, 359, 14)],
)
def test_rendered_lines_are_counted_and_covered_everywhere(scorer, width, height, size):
    image, ink = render(width, height, ends(width, height, size))
    found = scorer.find(image)
    assert len(found.regions) == len(ink) == 9
    inked = 0.0
    for (left, top, right, bottom), region in zip(ink, found.regions, strict=True):  # both row by row
        box = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        alone = covered([box], width, height)
        both = covered([box, region.corners], width, height)
        inside = alone + covered([region.corners], width, height) - both
        assert inside > 0.85 * alone
        inked += alone
    assert 0.85 * inked < found.area < 2.2 * inked  # a region is taller than its letters, by the grown edge
    assert scorer.read(image, found.regions) == " | ".join(["breaking news"] * 9)


def test_a_ticker_of_12_pixels_is_found_at_1080p(scorer):
    lines = [(f"a very small ticker, part {i} of 4", 30 + 470 * i, 1060, 12) for i in range(4)]
    image, _ = render(1920, 1080, lines)
    values = scorer.score([image], text=True)
    assert values["ocr"] == 4
    assert values["ocr_text"] == " | ".join(line[0] for line in lines)
    assert OcrScorer(device="cpu", limit_side=640).score([image])["ocr"] < 4  # 4 pixels are too few


def test_pictures_without_text_have_none(scorer):
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    rows, columns = np.mgrid[0:240, 0:320]
    checkers = np.repeat(((rows // 20 + columns // 20) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    disc = np.where(((rows - 120) ** 2 + (columns - 160) ** 2 < 80**2)[..., None], 255, 0).astype(np.uint8)
    blank = np.zeros((240, 320, 3), np.uint8)
    for image in (blank, blank + 255, np.asarray(background(320, 240)), noise, checkers, disc.repeat(3, 2)):
        assert scorer.score([image], text=True) == {"ocr": 0, "ocr_area": 0.0, "ocr_text": ""}


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (20, 4000), (4000, 20), (7, 9)])
def test_odd_shapes_are_looked_at(scorer, shape):
    assert scorer.score([np.full((*shape, 3), 90, np.uint8)]) == {"ocr": 0, "ocr_area": 0.0}


def test_the_fullest_frame_stands_for_the_video(scorer):
    one, _ = render(640, 360, [("big title", 20, 100, 110)])
    three, _ = render(
        640, 360, [("first line", 20, 20, 20), ("second line", 20, 90, 20), ("third", 300, 200, 20)]
    )
    empty = np.asarray(background(640, 360))
    values = scorer.score([empty, three, one], text=True)
    assert values["ocr"] == 3
    assert values["ocr_area"] == scorer.find(one).area > scorer.find(three).area  # maxima are taken apart
    assert values["ocr_text"] == "first line | second line | third"


def test_regions_in_a_script_that_cannot_be_read_count(scorer):
    """The networks read Chinese, Japanese and Latin; a line in Cyrillic is a line of text all the same."""
    font = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not font.exists():
        matplotlib = pytest.importorskip("matplotlib", reason="no font with Cyrillic letters here")
        font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    lines = [("Здравствуйте, это субтитры", 100, 300, 26), ("Москва сегодня вечером", 500, 600, 26)]
    image, _ = render(1280, 720, lines, str(font))
    assert scorer.score([image])["ocr"] == 2


def test_the_same_as_the_pipeline_of_rapidocr(raw_scorer):
    """RapidOCR 3.10 is the other implementation: boxes, their scores, and what they say."""
    from rapidocr import RapidOCR

    quiet = {"Global.log_level": "critical", "Global.text_score": 0.0, "Det.box_thresh": 0.3}
    quiet["EngineConfig.onnxruntime.intra_op_num_threads"] = 1
    quiet["Global.use_preprocess_img"] = False  # it would enlarge lines of less than 30 pixels twice
    reference = RapidOCR(params=quiet)
    lines = [(f"sample line number {i}", 40 + 60 * i, 40 + 110 * i, 14 + 6 * i) for i in range(6)]
    image, _ = render(960, 736, lines)  # a size that neither scales
    turned = np.asarray(Image.fromarray(image).rotate(8, Image.Resampling.BICUBIC))
    for picture in (image, turned):
        bgr = np.ascontiguousarray(picture[..., ::-1])
        expected = reference(bgr, use_det=True, use_cls=False, use_rec=False)
        found = raw_scorer.find(picture).regions
        assert len(found) == len(expected.boxes) == 6
        clipped = [np.clip(region.corners, 0, (1279, 735)) for region in found]
        for box in expected.boxes:
            assert min(np.abs(corners - box).max() for corners in clipped) < 2.5  # it rounds, twice
        scores = [sorted(scores) for scores in ([region.score for region in found], expected.scores)]
        assert np.allclose(*scores, atol=2e-3)
        for region in found:
            line = np.ascontiguousarray(cut_out(picture, region.corners)[..., ::-1])
            read = reference(line, use_det=False, use_cls=False, use_rec=True)
            reading = raw_scorer._read.read_line(line[..., ::-1])
            assert reading.text == " ".join(read.txts[0].split())
            assert reading.confidence == pytest.approx(read.scores[0], abs=1e-4)


def test_the_threshold_is_exceeded(raw_scorer):
    image, _ = render(640, 360, ends(640, 360, 14))
    scores = sorted(region.score for region in raw_scorer.find(image).regions)
    for threshold in (0.0, scores[4], 0.99):
        strict = OcrScorer(device="cpu", check="none", threshold=threshold)
        kept = [region.score for region in strict.find(image).regions]
        assert all(score > threshold for score in kept)
        assert len(kept) >= sum(score > threshold for score in scores)
    assert kept == []


def test_upside_down_text_is_read(scorer):
    image, _ = render(640, 360, [("the other way up", 200, 150, 30)])
    assert scorer.score([image[::-1, ::-1]], text=True)["ocr_text"] == "the other way up"


def test_nothing_is_fetched(monkeypatch):
    """Networks come from the wheel: without any socket everything works."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    image, _ = render(320, 240, [("offline", 50, 100, 30)])
    assert OcrScorer(device="cpu").score([image], text=True)["ocr_text"] == "offline"


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_lack_of_memory_is_told_as_such(backend):
    """In a process that may take 60 MB more than it has; the network needs 200 for this picture."""
    pytest.importorskip(backend, reason="the extra ocr is not installed")
    code = """if True:
        import resource
        import numpy as np
        from pathlib import Path
        from tools.scoring.ocr.scorer import OcrScorer
        scorer = OcrScorer(device="cpu", backend="BACKEND")
        scorer.score([np.zeros((32, 32, 3), np.uint8)])
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000,) * 2)
        try:
            scorer.score([np.zeros((1280, 1280, 3), np.uint8)])
        except MemoryError:
            print("memory")
    """
    command = [sys.executable, "-c", code.replace("BACKEND", backend)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.stdout == "memory\n", done.stderr


def test_union_of_boxes_against_points():
    """Every point of a fine grid is asked whether any box holds it."""
    random = np.random.default_rng(7)
    width, height = 160, 90
    fine = 4
    points = np.stack(np.meshgrid(np.arange(width * fine), np.arange(height * fine)), -1) / fine + 0.5 / fine
    for count in (1, 2, 5, 30):
        boxes, held = [], np.zeros(points.shape[:2], bool)
        for _ in range(count):
            middle, size = random.uniform((0, 0), (width, height)), random.uniform(3, 40, 2)
            angle = random.uniform(0, np.pi)
            along, across = (
                np.array([np.cos(angle), np.sin(angle)]),
                np.array([-np.sin(angle), np.cos(angle)]),
            )
            signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
            boxes.append(np.array([middle + a * along * size[0] + b * across * size[1] for a, b in signs]))
            away = points - middle
            held |= (np.abs(away @ along) <= size[0]) & (np.abs(away @ across) <= size[1])
        assert covered(boxes, width, height) == pytest.approx(held.mean(), abs=3e-3)


def test_union_of_boxes_by_hand():
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], np.float32)
    assert covered([], 20, 20) == 0.0
    assert covered([square], 20, 20) == 0.25
    assert covered([square, square], 20, 20) == 0.25
    assert covered([square, square + 5], 20, 20) == pytest.approx(175 / 400)
    assert covered([square - 5], 20, 20) == pytest.approx(25 / 400)  # the rest lies outside
    assert covered([square + 100], 20, 20) == 0.0
    assert covered([square * 100 - 500], 20, 20) == 1.0
    assert covered([square[[0, 2, 1, 3]]], 20, 20) == 0.25  # in any order of corners


def test_a_reading_is_sure_by_length_and_confidence():
    """(1 - confidence) ** characters at most 0.05, and confidence at least 0.8: worked out by hand."""
    cases = {("O", 0.94): False, ("O", 0.96): True, ("AB", 0.79): False, ("AB", 0.8): True, ("", 0.0): False}
    cases |= {("A B", 0.79): False, ("abcde", 0.8): True, ("abcdefghij", 0.79): False, (" ", 0.99): False}
    cases |= {("1", 0.99): False, ("-|-", 0.99): False, ("10", 0.94): False, ("10", 0.96): True}
    for (text, confidence), sure in cases.items():
        assert Reading(text, confidence).sure is sure, text


def test_a_line_by_its_shape():
    box = np.array([(0, 0), (90, 0), (90, 30), (0, 30)], np.float32)
    assert looks_like_line(Candidate(box, 0.6), 90)
    assert looks_like_line(Candidate(clockwise(box[:, ::-1]), 0.6), 90)  # upright
    assert not looks_like_line(Candidate(box, 0.59), 90)
    assert not looks_like_line(Candidate(box * (0.95, 1), 0.9), 90)
    assert not looks_like_line(Candidate(box, 0.9), 89)


@pytest.mark.parametrize("angle", [-40, -10, 0, 20, 44])
def test_corners_go_clockwise_from_the_top_left(angle):
    turn = np.deg2rad(angle)
    box = np.array([(-30, -10), (30, -10), (30, 10), (-30, 10)], np.float64)
    box = box @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    for order in itertools.permutations(range(4)):
        assert np.allclose(clockwise(box[list(order)]), box)


def test_reading_order():
    def box(left: int, top: int, height: int = 10) -> np.ndarray:
        return np.array([(left, top), (left + 20, top), (left + 20, top + height), (left, top + height)])

    assert reading_order([]) == []
    # right word of the first row hangs a little lower, the title beside it is taller, then a second row
    assert reading_order([box(50, 3), box(0, 12), box(0, 0), box(100, 0, 14), box(50, 13)]) == [2, 0, 3, 1, 4]


def test_network_size():
    """Multiples of 32, the longer side not above the limit, by hand."""
    assert network_size(1920, 1080, 1280) == (1280, 704)  # 720 lies between 704 and 736: ties go to even
    assert network_size(1080, 1920, 960) == (544, 960)
    assert network_size(320, 240, 1280) == (320, 256)  # 7.5 times 32
    assert network_size(10000, 10, 1280) == (1280, 32)
    assert network_size(1, 1, 1280) == (32, 32)


def test_what_cannot_be_asked(monkeypatch):
    for options, message in {
        ("threshold", 1.0): "threshold 1.0",
        ("threshold", -0.1): "threshold -0.1",
        ("limit_side", 31): "limit_side 31",
        ("check", "spelling"): "Supported values are reading, none",
        ("device", "cuda:99"): "device cuda:99",
    }.items():
        with pytest.raises(UserError, match=message):
            OcrScorer(**{"device": "cpu", options[0]: options[1]})
    monkeypatch.setitem(sys.modules, "rapidocr", None)  # Python's word for: there is no such module
    with pytest.raises(UserError, match=r"rapidocr is not installed: pip install 'vidsieve\[ocr\]'"):
        OcrScorer(device="cpu")


# What a person sees in the clips: no text at all, or these words.
WITHOUT_TEXT = (
    "sam2_05_default_juggle.mp4",
    "sam2_02_cups.mp4",
    "sam2_04_coffee.mp4",
    "sam2_bedroom.mp4",
    "skv_bigbuckbunny.mp4",
    "skv_carphone_pristine.mp4",
    "gradio_b.avi",
)
WITH_TEXT = {
    "v2d_test_video.mp4": (20, 0.05, "LAION-400M: Open Dataset of CLIP-Filtered 400"),
    "psd_testvideo.mp4": (2, 0.02, "www.bcastell.com"),
    "tc_h265_video.mp4": (1, 0.2, "Frame"),
    "tc_h264_10bits.mp4": (2, 0.03, "00:00:00"),
}


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_clips_without_text_have_none(scorer, videos_dir, name):
    (frame,) = read_sampled(videos_dir / name, parse_sampling("middle"))
    assert scorer.score([frame.image]) == {"ocr": 0, "ocr_area": 0.0}


@pytest.mark.parametrize("name", WITH_TEXT)
def test_clips_with_text(scorer, videos_dir, name):
    least, area, words = WITH_TEXT[name]
    frames = read_sampled(videos_dir / name, parse_sampling("opensora:0,0.5"))
    values = scorer.score([frame.image for frame in frames], text=True)
    assert least <= values["ocr"] <= 2 * least
    assert area < values["ocr_area"] < 0.5
    assert words in values["ocr_text"]


@pytest.mark.gpu
def test_a_gpu_finds_the_same(scorer):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("FAIL_WITHOUT_CUDA is set, and ONNX Runtime has no CUDA provider")
        pytest.skip("ONNX Runtime has no CUDA provider")
    image, _ = render(1280, 720, ends(1280, 720, 24))
    there, here = OcrScorer(device="cuda").score([image], text=True), scorer.score([image], text=True)
    assert (there["ocr"], there["ocr_text"]) == (here["ocr"], here["ocr_text"])
    assert there["ocr_area"] == pytest.approx(here["ocr_area"], rel=0.02)


def test_onnx_runtime_leaves_no_temporary_file_for_its_maker(tmp_path):
    """From 1.32 on it would, as soon as it is imported: .ses, for what it sends to Microsoft."""
    code = "from tools.scoring.ocr.sessions import import_onnxruntime as load; print(load().__version__)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip()
    assert not list(tmp_path.iterdir())
