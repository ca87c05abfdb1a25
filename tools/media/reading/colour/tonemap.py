"""Tone mapping of HDR colours (PQ and HLG) to SDR: the formulas, and a fast version for whole pictures.

The target is an SDR display (BT.709, BT.1886) with a peak of 203 cd/m²:

1. Signal to light: PQ by SMPTE ST 2084 (BT.2100, table 4), HLG by the inverse OETF and the OOTF of BT.2100
   (table 5) for a display with a peak of 1000 cd/m², so with a system gamma of 1.2.
2. Primaries: those of the stream (BT.2020 if unspecified) to BT.709, linear (BT.2087 inverted).
3. Range: the EETF of BT.2390 (section 5.4) on the largest of R, G and B, which keeps the hue. It leaves
   dark parts unchanged and rolls off highlights, so that the peak of the source becomes the peak of SDR. SDR
   white is 203 cd/m², the level of HDR reference white (BT.2408).
4. Light to signal: the inverse of the EOTF of BT.1886 for a black of 0, a power of 1 / 2.4.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tools.media.reading.colour.hdr import BT709, BT2020, DEFAULT_PEAK, HLG, PQ, REFERENCE_WHITE, Hdr

_HLG_GAMMA = 1.2
_SDR_GAMMA = 2.4

_WHITE = (0.3127, 0.3290)  # D65
_PRIMARIES = {  # libavutil's code: x and y of red, green, blue (ITU-T H.273, table 2)
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def pq_to_light(signal: np.ndarray) -> np.ndarray:
    """PQ signal, 0 to 1, to cd/m² (SMPTE ST 2084, equation 4.1)."""
    root = np.power(np.clip(signal, 0, 1), 1 / _M2)
    return 10_000 * np.power(np.maximum(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)


def light_to_pq(light: np.ndarray | np.floating) -> np.ndarray:
    """cd/m² to PQ signal (SMPTE ST 2084, equation 5.2)."""
    power = np.power(np.clip(light, 0, 10_000) / 10_000, _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def hlg_to_display(light: np.ndarray, luminance: np.ndarray) -> np.ndarray:
    """The OOTF of HLG: light of the scene to cd/m² of a display with a peak of 1000 (BT.2100, table 5).

    Args:
        light: 1000 times R, G and B of the scene, see `signal_to_light`, shape (..., 3).
        luminance: Weights of R, G and B in luminance, shape (3,).
    """
    return (light / DEFAULT_PEAK @ luminance)[..., None] ** (_HLG_GAMMA - 1) * light


def _hlg_scene(signal: np.ndarray) -> np.ndarray:
    """The inverse OETF of HLG: signal to light of the scene, both 0 to 1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    signal = np.clip(signal, 0, 1)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def eetf(light: np.ndarray, peak: float) -> np.ndarray:
    """Compress the range of light to that of SDR (BT.2390, section 5.4.1, for a black of 0).

    Args:
        light: cd/m².
        peak: Peak luminance of the source in cd/m², above `REFERENCE_WHITE`.

    Returns:
        cd/m², at most `REFERENCE_WHITE`.
    """
    top = light_to_pq(np.float64(peak))
    most = light_to_pq(np.float64(REFERENCE_WHITE)) / top
    knee = 1.5 * most - 0.5
    signal = np.clip(light_to_pq(light) / top, 0, 1)
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )
    return np.where(signal < knee, light, pq_to_light(spline * top))


def to_sdr(signal: np.ndarray, hdr: Hdr) -> np.ndarray:
    """Convert an HDR signal to SDR.

    Args:
        signal: R', G' and B', 0 to 1, shape (..., 3).
        hdr: Colour metadata.

    Returns:
        R', G' and B' of BT.709, 0 to 1, same shape, float64.
    """
    return light_to_sdr(signal_to_light(np.asarray(signal, np.float64), hdr), hdr)


def signal_to_light(signal: np.ndarray, hdr: Hdr) -> np.ndarray:
    """A component's signal to light: cd/m² of the display for PQ, 1000 times that of the scene for HLG."""
    return pq_to_light(signal) if hdr.transfer == PQ else DEFAULT_PEAK * _hlg_scene(signal)


def light_to_sdr(light: np.ndarray, hdr: Hdr) -> np.ndarray:
    """The second part of `to_sdr`.

    Args:
        light: `signal_to_light` of R', G' and B', shape (..., 3).
        hdr: Colour metadata.
    """
    source = _to_xyz(_PRIMARIES.get(hdr.primaries, _PRIMARIES[BT2020]))
    if hdr.transfer == HLG:
        light = hlg_to_display(light, source[1])
    light = light @ (np.linalg.inv(_to_xyz(_PRIMARIES[BT709])) @ source).T
    most = light.max(axis=-1, keepdims=True)
    gain = eetf(most, hdr.peak) / np.maximum(most, 1e-6) / REFERENCE_WHITE
    return np.clip(light * gain, 0, 1) ** (1 / _SDR_GAMMA)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Matrix from linear R, G, B to CIE X, Y, Z (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*primaries, _WHITE)]).T
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


class ToneMap:
    """`to_sdr` for whole pictures, with lookup tables: equal within 0.02 of an 8-bit level.

    Args:
        hdr: Colour metadata of the pictures.
        bits: Bit depth of the output, 8 or 16.
    """

    def __init__(self, hdr: Hdr, *, bits: int = 8) -> None:
        source = _to_xyz(_PRIMARIES.get(hdr.primaries, _PRIMARIES[BT2020]))
        self._scene_luminance = (
            (source[1:2] / DEFAULT_PEAK).astype(np.float32) if hdr.transfer == HLG else None
        )
        self._matrix = (np.linalg.inv(_to_xyz(_PRIMARIES[BT709])) @ source).astype(np.float32)
        self._light, self._gain = _light_tables(hdr)
        self._signal = _signal_table(bits)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Convert one picture to SDR.

        Args:
            picture: uint16, shape (height, width, 3): R', G' and B' of the HDR signal, full range.

        Returns:
            uint8 or uint16, same shape: R', G' and B' of BT.709, full range.
        """
        shown = np.empty_like(picture, self._signal.dtype)
        for row in range(0, len(picture), _ROWS):
            shown[row : row + _ROWS] = self._rows(picture[row : row + _ROWS])
        return shown

    def _rows(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        light = np.take(self._light, picture)
        if self._scene_luminance is not None:
            system = cv2.pow(cv2.transform(light, self._scene_luminance), _HLG_GAMMA - 1)
            light *= system.reshape(*light.shape[:2], 1)
        light = cv2.transform(light, self._matrix)
        np.maximum(light, 0, out=light)
        most = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
        most /= _MOST
        light *= np.take(self._gain, _fourth_root(most))[..., None]
        return np.take(self._signal, _fourth_root(light))


_ROWS = 32  # processed at a time, so that they stay in the CPU's cache
_MOST = 20_000.0  # cd/m²; more than any component in BT.709 of BT.2020 light of 10000
_TOP = 65535


def _fourth_root(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as indices of a table that is finer for dark values, as the eye is."""
    roots = np.sqrt(np.sqrt(values))
    roots *= _TOP
    roots += 0.5
    return np.minimum(roots, _TOP, out=roots).astype(np.uint16)


@lru_cache(maxsize=8)
def _light_tables(hdr: Hdr) -> tuple[np.ndarray, np.ndarray]:
    """Tables of 65536 entries: signal to light, and the fourth root of the largest component to its gain."""
    steps = np.arange(_TOP + 1) / _TOP
    light = signal_to_light(steps, hdr)
    most = _MOST * steps**4
    gain = eetf(most, hdr.peak) / np.maximum(most, 1e-6) / REFERENCE_WHITE
    gain[0] = 1 / REFERENCE_WHITE
    return light.astype(np.float32), gain.astype(np.float32)


@lru_cache(maxsize=2)
def _signal_table(bits: int) -> np.ndarray:
    """Table of 65536 entries: the fourth root of the light of SDR to its signal."""
    top = 2**bits - 1
    signal = np.rint((np.arange(_TOP + 1) / _TOP) ** (4 / _SDR_GAMMA) * top)
    return signal.astype(np.uint8 if bits == 8 else np.uint16)
