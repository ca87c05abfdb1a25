"""A chain of libavfilter's filters over decoded pictures."""

from __future__ import annotations

from collections.abc import Sequence

import av
from av.filter import Graph

_UNSPECIFIED = 2  # libavutil/pixfmt.h: AVCOL_SPC_UNSPECIFIED


class FilterChain:
    """Passes pictures through filters, one in and one out; the graph is rebuilt when size or format change.

    Args:
        filters: Names and arguments, in order.
    """

    def __init__(self, filters: Sequence[tuple[str, str]]) -> None:
        self._filters = filters
        self._input: tuple[str, int, int] | None = None
        self._graph: Graph | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Filter one picture."""
        kind = (picture.format.name, picture.width, picture.height)
        if self._graph is None or kind != self._input:
            self._input, self._graph = kind, build_graph(picture, self._filters)
        self._graph.vpush(picture)
        return self._graph.vpull()


def build_graph(picture: av.VideoFrame, filters: Sequence[tuple[str, str]]) -> Graph:
    """Link filters into a graph that takes pictures like this one."""
    graph = Graph()
    graph.threads = 1
    matrix = int(picture.colorspace)
    node = graph.add(
        "buffer",
        video_size=f"{picture.width}x{picture.height}",
        pix_fmt=picture.format.name,
        time_base="1/1000",
        pixel_aspect="1/1",
        colorspace=str(matrix if matrix >= 0 else _UNSPECIFIED),
        range=str(int(picture.color_range)),
    )
    for name, arguments in [*filters, ("buffersink", "")]:
        following = graph.add(name, arguments or None)
        node.link_to(following)
        node = following
    graph.configure()
    return graph
