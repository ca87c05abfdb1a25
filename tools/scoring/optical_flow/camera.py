"""The camera's part of a flow field: a planar motion fitted to it, without what moves by itself."""

from __future__ import annotations

import numpy as np

_STRIDE = 8  # pixels between the places that are fitted
_SAMPLES = 256
_NOISE = 0.0015  # of the diagonal: about a pixel of the grid, by which good flow may be wrong
_RELATIVE_NOISE = 0.05  # of the flow itself
_ROUNDS = 10


def camera_field(field: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    """Fit the motion that most of the picture shares.

    The model is that of a camera before a plane, or of one that turns and zooms, for small motion: eight
    parameters, of degree two in the coordinates (Bergen et al., Hierarchical Model-Based Motion Estimation,
    1992). The best of many fits to four places is improved by least squares with Tukey's weights. It is the
    camera's as long as what moves by itself fills less than half of the picture.

    Args:
        field: Shape (H, W, 2): displacements, in fractions of the diagonal of the picture.
        pixel: Width and height of a pixel in the same unit.

    Returns:
        float32, the same shape: the displacements that the model gives.
    """
    height, width = field.shape[:2]
    x, y = (np.arange(width) + 0.5 - width / 2) * pixel[0], (np.arange(height) + 0.5 - height / 2) * pixel[1]
    some = slice(_STRIDE // 2, None, _STRIDE)
    parameters = _fit(_design(x[some], y[some]), field[some, some].reshape(-1, 2).T.astype(np.float64))
    across, along_x, along_y, down, turn_x, turn_y, tilt_x, tilt_y = parameters
    y = y[:, None]
    common = tilt_x * x + tilt_y * y
    u = across + along_x * x + along_y * y + common * x
    v = down + turn_x * x + turn_y * y + common * y
    return np.stack([u, v], axis=2).astype(np.float32)


def _design(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What each parameter adds at each place of a grid: shape (2, places, 8), to x and to y."""
    x, y = (grid.ravel() for grid in np.meshgrid(x, y))
    one, zero = np.ones_like(x), np.zeros_like(x)
    across = [one, x, y, zero, zero, zero, x * x, x * y]
    down = [zero, zero, zero, one, x, y, x * y, y * y]
    return np.stack([np.stack(across, axis=1), np.stack(down, axis=1)])


def _fit(design: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Parameters that explain most places.

    Args:
        design: Shape (2, places, 8).
        flow: Shape (2, places).
    """
    allowed = max(_NOISE, _RELATIVE_NOISE * float(np.median(np.hypot(*flow))))
    best = _best_sample(design, flow, allowed)
    for _ in range(_ROUNDS):
        error = np.hypot(*(np.einsum("apk,k->ap", design, best) - flow)) / (3 * allowed)
        best = _least_squares(design, flow, np.where(error < 1, (1 - error**2) ** 2, 0.0))
    return best


def _least_squares(design: np.ndarray, flow: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Parameters with the least sum of weighted squares."""
    # einsum, because what a matrix product rounds to depends on the number of threads
    weighted = design * weight[:, None]
    gram = np.einsum("apk,apl->kl", weighted, design)
    return np.linalg.pinv(gram, hermitian=True) @ np.einsum("apk,ap->k", weighted, flow)


def _best_sample(design: np.ndarray, flow: np.ndarray, allowed: float) -> np.ndarray:
    """Of many fits to four places each, that with the least error, which counts only up to a limit.

    The plain fit to all places is among them.
    """
    places = flow.shape[1]
    chosen = np.random.default_rng(0).integers(places, size=(_SAMPLES, 4))  # the same for every field
    matrices = design[:, chosen].transpose(1, 0, 2, 3).reshape(_SAMPLES, 8, 8)
    sides = flow[:, chosen].transpose(1, 0, 2).reshape(_SAMPLES, 8)
    fits = np.einsum("skl,sl->sk", np.linalg.pinv(matrices), sides)
    fits = np.concatenate([_least_squares(design, flow, np.ones(places))[None], fits])
    differences = np.einsum("apk,sk->asp", design, fits) - flow[:, None]
    errors = np.square(differences[0]) + np.square(differences[1])
    return fits[np.argmin(np.minimum(errors, allowed**2).sum(1))]
