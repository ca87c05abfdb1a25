"""HDR pictures as SDR: by the tables of the standards, and beside the ffmpeg program's zscale and tonemap."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.hdr_videos import HLG, PATCH, PQ, make_hdr_video, middles, patches, zscale
from tests.support import make_video
from tools.media.reading.colour.hdr import Hdr
from tools.media.reading.colour.tonemap import (
    ToneMap,
    eetf,
    hlg_to_display,
    light_to_pq,
    pq_to_light,
    signal_to_light,
    to_sdr,
)
from tools.media.reading.frames import iter_frames, read_frames, read_frames_at
from tools.media.reading.probe import index_packets

NITS = [0, 0.1, 1, 5, 10, 20, 50, 80, 100, 150, 203, 300, 400, 600, 800, 1000]
BT2020 = np.array([0.2627, 0.6780, 0.0593])


@pytest.fixture(scope="module")
def pq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of 0 to 1000 cd/m² in PQ."""
    path = tmp_path_factory.mktemp("hdr") / "pq.mp4"
    return make_hdr_video(path, light_to_pq(patches(NITS)))


@pytest.fixture(scope="module")
def hlg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of 0 to 100 % of HLG."""
    path = tmp_path_factory.mktemp("hdr") / "hlg.mp4"
    return make_hdr_video(path, patches(np.linspace(0, 1, 16).tolist()), HLG, light=None)


@pytest.mark.parametrize(
    ("signal", "light"), [(0.0, 0), (0.5081, 100), (0.5807, 203), (0.7518, 1000), (1.0, 10_000)]
)
def test_pq_is_that_of_the_standard(signal: float, light: float) -> None:
    """Levels of BT.2408, table 1, and of BT.2100, table 4."""
    assert pq_to_light(np.array(signal)) == pytest.approx(light, rel=2e-3)
    assert light_to_pq(np.array(light)) == pytest.approx(signal, abs=1e-4)


@pytest.mark.parametrize(("signal", "light"), [(0.0, 0), (0.38, 26), (0.75, 203), (1.0, 1000)])
def test_hlg_is_that_of_the_standard(signal: float, light: float) -> None:
    """BT.2408, table 1: grey cards and white in HLG on a display of 1000 cd/m²."""
    shown = hlg_to_display(signal_to_light(np.full(3, signal), Hdr(HLG)), BT2020)
    assert shown == pytest.approx(np.full(3, light), abs=0.5)


def test_colours_of_hlg_keep_the_hue_of_the_scene() -> None:
    """BT.2100, table 5: the OOTF multiplies R, G and B by one number, a power of the luminance."""
    signal = np.array([0.5, 0.25, 0.125])
    scene = signal**2 / 3
    shown = hlg_to_display(signal_to_light(signal, Hdr(HLG)), BT2020)
    assert shown == pytest.approx(1000 * (scene @ BT2020) ** 0.2 * scene, rel=1e-6)


def test_the_eetf_is_that_of_bt2390() -> None:
    """What is dark stays; the peak becomes SDR white; in between it rises smoothly and less and less."""
    light = np.linspace(0, 1000, 2001)
    shown = eetf(light, 1000.0)
    # BT.2390, 5.4.1, by hand: maxLum = PQ(203) / PQ(1000) = 0.7724, the knee 1.5 * 0.7724 - 0.5 = 0.6586
    knee = pq_to_light(np.array(0.6586 * 0.7518))
    assert 85 < knee < 92
    assert np.allclose(shown[light < knee], light[light < knee])
    assert shown[-1] == pytest.approx(203)
    slopes = np.diff(shown)
    assert (slopes >= 0).all() and (np.diff(slopes[light[1:] > knee + 1]) < 1e-3).all()
    assert eetf(np.array([4000.0]), 4000.0) == pytest.approx([203])


@pytest.mark.parametrize("hdr", [Hdr(PQ), Hdr(HLG), Hdr(PQ, 12, light_level=(4000, 0))])
def test_whole_pictures_are_what_the_formula_says(hdr: Hdr) -> None:
    signal = np.random.default_rng(0).integers(0, 65536, (50, 40, 3), np.uint16)
    expected = to_sdr(signal / 65535, hdr)
    assert np.abs(ToneMap(hdr, bits=16)(signal) / 65535 - expected).max() * 255 < 0.03
    eight = ToneMap(hdr)(signal)
    assert eight.dtype == np.uint8
    assert np.abs(eight - expected * 255).max() < 0.53


def test_pq_beside_zscale(pq: Path) -> None:
    """Where the EETF changes nothing, zimg gives the same; above, mobius is the nearest that ffmpeg has."""
    ours = middles(read_frames(pq, [0])[0].image)
    clipped, mobius, hable = (middles(zscale(pq, name)) for name in (None, "mobius", "hable"))
    assert np.abs(ours[:, :7] - clipped[:, :7]).max() <= 1
    assert np.abs(ours - mobius).mean() < 5
    assert (ours[0, :, 0] >= hable[0, :, 0]).all()  # which is known to be dark
    assert (
        np.abs(ours - np.rint(255 * to_sdr(light_to_pq(patches(NITS)), index_packets(pq).hdr))).mean() < 0.6
    )
    assert ours[0, -1].tolist() == [255, 255, 255]  # MaxCLL
    assert 225 <= ours[0, NITS.index(203), 0] <= 235  # reference white leaves room for what is brighter


def test_greys_of_hlg_beside_zscale(hlg: Path) -> None:
    """Only greys: zimg applies the OOTF to R, G and B each, BT.2100 to the luminance."""
    ours = middles(read_frames(hlg, [0])[0].image)
    assert np.abs(ours[0, :10] - middles(zscale(hlg))[0, :10]).max() <= 1
    assert (
        np.abs(ours - np.rint(255 * to_sdr(patches(np.linspace(0, 1, 16).tolist()), Hdr(HLG)))).mean() < 0.6
    )


def test_all_readers_show_the_same(pq: Path) -> None:
    image = read_frames(pq, [7])[0].image
    assert (read_frames_at(pq, [7 / 25])[0].image == image).all()
    assert (read_frames(pq, [7], decoder="decord")[0].image == image).all()
    whole = {form: list(iter_frames(pq, format=form)) for form in ("rgb24", "bgr24", "gray")}
    assert (whole["rgb24"][7].image == image).all()
    assert (whole["bgr24"][7].image[..., ::-1] == image).all()
    assert np.abs(whole["gray"][7].image - image @ [0.2126, 0.7152, 0.0722]).max() <= 0.5
    half = (image.shape[1] // 2, image.shape[0] // 2)
    small = read_frames(pq, [7], size=half)[0].image
    inside = slice(PATCH // 4, None, PATCH // 2)
    assert np.abs(small[inside, inside].astype(int) - middles(image)).max() <= 1


def test_what_the_index_says(pq: Path, hlg: Path, tmp_path: Path) -> None:
    index = index_packets(pq)
    assert index.colour == "tv/bt2020nc/bt2020/smpte2084"
    assert index.hdr.kind == "pq"
    assert index.hdr.light_level == (1000, 400)
    assert index.hdr.mastering[:2] == (Fraction(34, 50), Fraction(16, 50))
    assert index.hdr.mastering[8:] == (Fraction(1, 200), 1000)
    assert index_packets(hlg).hdr == Hdr(HLG)
    assert index_packets(make_video(tmp_path / "sdr.mp4", 3)).hdr is None


@pytest.mark.parametrize(
    ("hdr", "peak"),
    [
        (Hdr(PQ), 1000),
        (Hdr(PQ, light_level=(400, 100)), 400),
        (Hdr(PQ, light_level=(0, 100), mastering=(Fraction(0),) * 9 + (Fraction(4000),)), 4000),
        (Hdr(PQ, light_level=(1, 1), mastering=(Fraction(0),) * 9 + (Fraction(600),)), 600),
        (Hdr(PQ, light_level=(100, 50)), 1000),
        (Hdr(HLG, light_level=(400, 100)), 1000),
    ],
)
def test_the_peak_is_maxcll_or_that_of_the_display_or_1000(hdr: Hdr, peak: float) -> None:
    assert hdr.peak == peak
