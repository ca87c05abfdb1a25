"""The detection network in OpenVINO: against ONNX Runtime, in any order of sizes, and in the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.errors import UserError
from tools.media.reading.requests import read_sampled
from tools.media.reading.sampling import parse_sampling
from tools.scoring.fused import FusedStage
from tools.scoring.ocr import backends
from tools.scoring.ocr.backends import Network, OpenVinoNetwork, choose_backend, open_network
from tools.scoring.ocr.detection import network_size, regions
from tools.scoring.ocr.scorer import OcrScorer
from tools.scoring.ocr.sessions import find_models, standardise
from tools.scoring.ocr.stage import OcrStage
from tools.stage.run_options import RunOptions
from tools.stage.runner import run_stage
from tools.stage.session import map_rows
from tools.stage.summary import summary

pytest.importorskip("openvino", reason="openvino of the extra ocr is not installed")
pytest.importorskip("onnxruntime", reason="the extra ocr is not installed")
pytest.importorskip("rapidocr", reason="the extra ocr is not installed")

ROOT = Path(__file__).resolve().parents[2]
PROBABILITY = 5e-4  # by which the backends may differ; bfloat16 differs by more than 1e-2
QUIET = RunOptions(num_workers=0, progress=False)


def page(width: int, height: int, *lines: tuple[str, int, int]) -> np.ndarray:
    """Clouds with text: the words, the size of the letters, their brightness."""
    blocks = np.random.default_rng(3).integers(20, 140, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    draw, top = ImageDraw.Draw(picture), 4
    for text, size, brightness in lines:
        draw.text((8 + top // 3, top), text, font=ImageFont.load_default(size), fill=(brightness,) * 3)
        top += 2 * size + 8
    return np.asarray(picture)


LINES = (("breaking news", 12, 255), ("12:30", 30, 150), ("a faint subtitle", 24, 120), ("BIG", 90, 255))


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [open_network(find_models().detection, "cpu", name) for name in ("onnxruntime", "openvino")]


def agree(networks: list[Network], image: np.ndarray) -> int:
    """The number of regions, which like each of them must be the same with both backends."""
    height, width = image.shape[:2]
    pixels = standardise(np.asarray(Image.fromarray(image).resize(network_size(width, height, 1280))))
    expected, found = (network(pixels) for network in networks)
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < PROBABILITY
    boxes, oracle = regions(found[0, 0], 0.3), regions(expected[0, 0], 0.3)
    assert len(boxes) == len(oracle)
    for (corners, score), (others, other) in zip(boxes, oracle, strict=True):
        assert np.abs(corners - others).max() < 1
        assert score == pytest.approx(other, abs=PROBABILITY)
    return len(boxes)


@pytest.mark.parametrize("size", [(320, 240), (700, 640)], ids=["any", "own"])
def test_the_same_as_onnx_runtime(networks, size):
    """For a size that has a compiled network of its own, and for one that has not."""
    assert agree(networks, page(*size, *LINES)) >= 3


@pytest.mark.parametrize("name", ["v2d_test_video.mp4", "tc_h264_10bits.mp4"])
def test_the_same_as_onnx_runtime_on_real_frames(networks, videos_dir, name):
    (frame,) = read_sampled(videos_dir / name, parse_sampling("middle"))
    assert agree(networks, frame.image) >= 2


def test_what_it_computes_does_not_depend_on_what_came_before(monkeypatch):
    """More sizes than stay compiled, in several orders, against a network that has seen nothing else."""
    monkeypatch.setattr(backends, "_OWN_SIZE", 100 * 100)
    monkeypatch.setattr(backends, "_COMPILED", 1)
    file = find_models().detection
    network, sizes = OpenVinoNetwork(file), [(64, 96), (96, 128), (128, 96)]
    pictures = {size: standardise(page(*size, *LINES[:2])) for size in sizes}
    alone = {size: OpenVinoNetwork(file)(pixels).tobytes() for size, pixels in pictures.items()}
    found = [(size, network(pictures[size])) for size in (*sizes, *reversed(sizes))]
    assert all(output.tobytes() == alone[size] for size, output in found)
    assert network._compiled.cache_info().misses > len(sizes)  # some were compiled again


def test_threads_take_turns():
    """Each gets the output for its own picture, as it is when nobody else asks."""
    network = OpenVinoNetwork(find_models().detection)
    pictures = [standardise(page(96, 64, (text, 24, 255))) for text in ("one", "two", "three", "four")] * 4
    alone = [network(pixels).tobytes() for pixels in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert [output.tobytes() for output in threads.map(network, pictures)] == alone


def test_float32_on_one_thread_that_is_not_pinned():
    cores = os.sched_getaffinity(0)
    network = OpenVinoNetwork(find_models().detection)
    for shape in ((1, 3, -1, -1), (1, 3, 64, 64)):
        compiled = network._compile(shape).get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
    network(np.zeros((1, 3, 64, 64), np.float32))
    assert os.sched_getaffinity(0) == cores


def test_an_older_instruction_set_finds_the_same(tmp_path):
    """AVX2, as on a CPU without AVX-512 and AMX; in a process of its own, whose start sets it."""
    image = page(640, 352, *LINES[:3])
    Image.fromarray(image).save(tmp_path / "page.png")
    code = """if True:
        import sys
        import numpy as np
        from PIL import Image
        from tools.scoring.ocr.scorer import OcrScorer
        scorer = OcrScorer(device="cpu", check="none", backend="openvino")
        regions = scorer.find(np.asarray(Image.open(sys.argv[1]))).regions
        np.save(sys.argv[2], np.array([region.corners for region in regions]))
    """
    command = [sys.executable, "-c", code, tmp_path / "page.png", tmp_path / "corners.npy"]
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=600)
    expected = OcrScorer(device="cpu", check="none", backend="onnxruntime").find(image).regions
    found = np.load(tmp_path / "corners.npy")
    assert len(found) == len(expected) >= 2
    assert np.abs(found - np.array([region.corners for region in expected])).max() < 1


def test_which_backend_is_chosen(monkeypatch):
    assert choose_backend("cpu", "auto") == ("cpu", "openvino")
    assert choose_backend("auto", "openvino") == ("cpu", "openvino")
    assert choose_backend("cpu", "onnxruntime") == ("cpu", "onnxruntime")
    with pytest.raises(UserError, match=r"Invalid backend \(tensorrt\). Supported values are auto, openvino"):
        choose_backend("cpu", "tensorrt")
    monkeypatch.setattr(backends, "resolve_ocr_device", lambda device: "cuda:0")  # as where there is one
    assert choose_backend("auto", "auto") == ("cuda:0", "onnxruntime")
    with pytest.raises(UserError, match="--backend openvino runs on the CPU, not on --device cuda:0"):
        choose_backend("cuda", "openvino")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "openvino", None)  # Python's word for: there is no such module
    assert choose_backend("cpu", "auto") == ("cpu", "onnxruntime")
    with pytest.raises(
        UserError, match=r"--backend openvino: package openvino is not installed: pip install"
    ):
        choose_backend("cpu", "openvino")
    pixels = np.zeros((1, 3, 32, 32), np.float32)  # and nothing else imports it
    assert open_network(find_models().detection, "cpu", "onnxruntime")(pixels).shape == (1, 1, 32, 32)


@pytest.fixture
def table(tmp_path) -> Path:
    for number in range(3):
        Image.fromarray(page(160, 96, (f"no {number}", 24, 255))).save(tmp_path / f"{number}.png")
    pl.DataFrame({"path": [str(tmp_path / f"{n}.png") for n in range(3)]}).write_csv(tmp_path / "meta.csv")
    return tmp_path / "meta.csv"


def test_a_run_does_not_go_on_with_another_backend(table):
    """Neither a table that is complete, nor one of which some rows are done."""
    output = table.with_name("out.csv")

    def run(backend: str, **options: object):
        options = RunOptions(num_workers=0, progress=False, **options)
        return run_stage(OcrStage(device="cpu", backend=backend), table, output=output, options=options)

    assert run("onnxruntime", limit=2).fresh == 2
    first = run("onnxruntime")
    assert (first.fresh, first.reused) == (1, 2)
    with pytest.raises(UserError, match=r"with other options .*backend onnxruntime, now openvino"):
        run("auto")
    second = run("auto", overwrite=True)
    assert (second.fresh, second.reused) == (3, 0)
    assert run("openvino").already_complete
    assert [pl.read_csv(output)["ocr"].sum(), "3 rows: detection network in OpenVINO" in summary(second)] == [
        3,
        True,
    ]
    assert "3 rows: detection network in ONNX Runtime" in summary(first)


def test_what_differs_is_the_backend_alone():
    stages = [OcrStage(device="cpu", backend=backend).config() for backend in ("openvino", "onnxruntime")]
    assert {name for name in stages[0] if stages[0][name] != stages[1][name]} == {"backend"}
    assert OcrStage(device="cpu").config() == stages[0]  # what was asked is what was found


def test_one_line_in_a_fused_run(table):
    paths = [{"path": path} for path in pl.read_csv(table)["path"]]
    for backend, name in (("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime")):
        alone = map_rows(OcrStage(device="cpu", backend=backend), paths, QUIET)
        together = map_rows(FusedStage((OcrStage(device="cpu", backend=backend),)), paths, QUIET)
        for one, other in zip(alone, together, strict=True):
            assert one["ocr"] == other["ocr"] == 1
            assert one["remarks"] == other["remarks"]
            assert one["remarks"][0].startswith(f"detection network in {name} ")
