"""The clips of `technical_truth.py`: pieces of real footage, changed in ways whose answer is known."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from tools.errors import UserError
from tools.media.writing.ffmpeg_program import find_ffmpeg, run_ffmpeg

LIVE = {
    "cups": ("sam2_02_cups.mp4", 60, 90, ""),
    "coffee": ("sam2_04_coffee.mp4", 30, 90, ""),
    "juggle": ("sam2_05_default_juggle.mp4", 20, 90, ""),
    "bedroom": ("sam2_bedroom.mp4", 0, 90, ""),
    "taillight": ("skv_bikes.mp4", 77, 60, ""),
    "railing": ("skv_bikes.mp4", 138, 49, ""),
    "bikes": ("skv_bikes.mp4", 0, 240, ""),
    "carphone": ("skv_carphone_pristine.mp4", 0, 90, ""),
    "square": ("ocv_vtest.avi", 100, 90, ""),
    "hall": ("tc_nasa_13013.mp4", 205, 90, ""),
    "painter": ("tc_nasa_13013.mp4", 150, 50, ""),
    "band": ("iscc_demo.mp4", 960, 60, "crop=176:100"),
    "lamp": ("iscc_demo.mp4", 396, 88, "crop=176:100"),
}
"""Shots of live action: file, first frame, frames, filter."""
DRAWN = {
    "bunny": ("skv_bigbuckbunny.mp4", 0, 100, "decimate=cycle=25"),  # 24 fps in a file of 25
    "earth": ("gradio_b.avi", 0, 90, ""),
}
PIECES = LIVE | DRAWN
STILLS = {
    "bunny_still": ("skv_bigbuckbunny.mp4", 70),
    "cups_still": ("sam2_02_cups.mp4", 60),
    "juggle_still": ("sam2_05_default_juggle.mp4", 60),
    "railing_still": ("skv_bikes.mp4", 150),
    "square_still": ("ocv_vtest.avi", 100),
    "bedroom_still": ("sam2_bedroom.mp4", 40),
}
"""Pictures over which a camera is moved: file, frame."""
PHOTOS = ("389_535", "416_264", "524_316")
TUNED = {
    "cups", "bedroom", "taillight", "bikes", "carphone", "hall", "band", "bunny", "earth",
    "bunny_still", "cups_still", "railing_still", "524_316",
}  # fmt: skip
CRFS = (18, 23, 26, 30)


class Variant(NamedTuple):
    """A clip to be made.

    Attributes:
        group: What is tried: one of `GROUPS`.
        kind: What was done.
        source: Piece or still that it is made of.
        inputs: Arguments of ffmpeg ahead of the filter; the piece is named by ``{source}``.
        filters: Filter graph.
        encoder: Arguments of the encoder.
        truth: The right value; None for a clip that is to raise no alarm.
    """

    group: str
    kind: str
    source: str
    inputs: tuple[str, ...]
    filters: str
    encoder: tuple[str, ...]
    truth: Any


def x264(crf: int, *more: str, preset: str = "") -> tuple[str, ...]:
    """Arguments for h264; quick and thorough search take turns, as they leave different traces."""
    preset = preset or ("medium" if crf in (18, 26, 28, 35) else "veryfast")
    return ("-c:v", "libx264", "-preset", preset, "-crf", str(crf), "-pix_fmt", "yuv420p", *more)


def rates() -> Iterator[Variant]:
    """Film of one rate in files of another, by doubled frames, and the film itself."""
    moving = [name for name in PIECES if name not in ("earth", "hall", "lamp", "painter", "taillight")]
    moving += [f"pan_{name}" for name in ("bunny_still", "railing_still", "juggle_still", "389_535")]
    for source in moving:
        paces = [("", "")]
        if source in ("cups", "bunny", "bedroom", "juggle"):
            paces.append(("fast ", "select=not(mod(n\\,2)),"))
        for (pace, chosen), crf in itertools.product(paces, CRFS):
            for new, fps in ((24, 24), (25, 25), (30, 30), (24, 30), (25, 30), (24, 60), (30, 60), (15, 30)):
                if new == fps and fps == 25:
                    continue
                kind = f"{pace}{new} in {fps}, crf {crf}" if new != fps else f"{pace}{fps}, crf {crf}"
                graph = f"{chosen}trim=end_frame=64,settb=1/600,setpts=N*{600 // new},fps={fps}"
                inputs = ("-r", str(new), "-i", "{source}")
                yield Variant("rates", kind, source, inputs, graph, x264(crf), new)


PANS = {
    "right": ("n*{v}", "ih*0.2"),
    "left": ("iw-ow-n*{v}", "ih*0.3"),
    "down": ("iw*0.25", "n*{v}"),
    "up": ("iw*0.3", "ih-oh-n*{v}"),
    "aslant": ("n*{v}", "n*{v}/2"),
}


def pan(way: str, speed: float, *, width: int = 320, height: int = 180) -> str:
    """A camera that moves over a still, in steps of a quarter of a pixel; `speed` in pixels per frame."""
    x, y = (term.format(v=round(speed * 4)) for term in PANS[way])
    return (
        f"scale={width * 32 // 5}:{height * 32 // 5}:force_original_aspect_ratio=increase,loop=-1:1,"
        f"crop={width * 4}:{height * 4}:'{x}':'{y}':exact=1,scale={width}:{height}:flags=area"
    )


def logo() -> Iterator[Variant]:
    """Logos over moving pictures, and moving pictures without one."""
    inputs = ("-i", "{source}")
    stills = [*STILLS, *PHOTOS]
    for still, way in itertools.product(stills, PANS):
        for crf, speed in ((23, 2.0), (30, 0.5), (26, 1.0)):
            yield Variant("logo", f"pan {way} {speed:g}, crf {crf}", still, inputs,
                          pan(way, speed), x264(crf, "-frames:v", "72"), None)  # fmt: skip
    for source, crf in itertools.product(PIECES, (20, 28)):
        # A logo is in this film.
        truth = True if PIECES[source][0].startswith("iscc") else None
        yield Variant("logo", f"as it is, crf {crf}", source, ("-i", "{source}"), "null", x264(crf), truth)
    moving = ("bedroom", "taillight", "railing", "bikes", "painter", "bunny", "coffee", "band", "lamp")
    numbers = itertools.count()
    for source in (*moving, *stills):
        for name in LOGOS:
            number = next(numbers)
            corner, opacity = CORNERS[number % 4], (1.0, 0.5, 0.7)[number % 3]
            base = pan(tuple(PANS)[number % 5], 1.5) if source in stills else "null"
            inputs = ("-i", "{source}", "-loop", "1", "-i", f"{{{name}}}")
            laid = f"[1:v]format=rgba,colorchannelmixer=aa={opacity}[b];[a][b]overlay={corner}:shortest=1"
            graph = f"[0:v]{base}[a];{laid}"
            coded = x264((20, 24, 28)[number % 3], "-frames:v", "72")
            yield Variant("logo", f"{name}, {opacity:g} opaque", source, inputs, graph, coded, True)


CORNERS = ("W-w-12:10", "12:10", "12:H-h-10", "W-w-12:H-h-10")


def draw_logos(folder: Path) -> dict[str, Path]:
    """Text and graphics with transparency, about 70 pixels wide."""
    made = {}
    for name, draw in LOGOS.items():
        image = Image.new("RGBA", (288, 128), (0, 0, 0, 0))
        draw(ImageDraw.Draw(image))
        image = image.crop(image.getbbox())
        image = image.resize((image.width // 4, image.height // 4), Image.Resampling.LANCZOS)
        made[name] = folder / f"{name}.png"
        image.save(made[name])
    return made


def _text(draw: ImageDraw.ImageDraw) -> None:
    draw.text((4, 20), "STUDIO", font=ImageFont.load_default(70), fill="white", stroke_width=3)


def _small_text(draw: ImageDraw.ImageDraw) -> None:
    draw.text((4, 30), "@someone", font=ImageFont.load_default(54), fill="white")


def _disc(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((8, 8, 120, 120), fill=(220, 30, 30), outline="white", width=10)
    draw.polygon([(46, 34), (46, 94), (98, 64)], fill="white")


def _bug(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((4, 12, 150, 116), outline="white", width=12)
    draw.rectangle((40, 40, 70, 90), fill="white")
    draw.rectangle((90, 40, 120, 90), fill=(255, 200, 0))


LOGOS = {"text": _text, "small_text": _small_text, "disc": _disc, "bug": _bug}


DARK = {
    "half as bright": "lutyuv=y=16+(val-16)*0.5",
    "a quarter as bright": "lutyuv=y=16+(val-16)*0.25",
    "an eighth as bright": "lutyuv=y=16+(val-16)*0.12",
    "crushed": "lutyuv=y=clip(val-70\\,16\\,235)",
    "crushed hard": "lutyuv=y=clip(val-120\\,16\\,235)",
    "gamma 0.3": "eq=gamma=0.3",
    "night": "eq=brightness=-0.25:contrast=1.3:saturation=0.4",
    "deep night": "eq=brightness=-0.45:contrast=1.2:saturation=0.3",
    "vignette": "vignette=PI/3",
    "strong vignette": "vignette=PI/2.2",
    "dark above": "geq=lum='16+(lum(X,Y)-16)*clip(Y/H*1.6-0.3,0,1)':cb='cb(X,Y)':cr='cr(X,Y)'",
    "dark beside": "geq=lum='16+(lum(X,Y)-16)*clip(2.2*sin(PI*X/W)-0.6,0,1)':cb='cb(X,Y)':cr='cr(X,Y)'",
    "spot": "geq=lum='16+(lum(X,Y)-16)*exp(-((X-W/2)^2+(Y-H/2)^2)/(W*W/40))':cb=128:cr=128",
}


def black_bars() -> Iterator[Variant]:
    """Dark pictures without bars, and pictures in bars."""
    for source, (kind, graph) in itertools.product(PIECES, DARK.items()):
        crf = (20, 26, 32)[zlib.crc32(f"{source}{kind}".encode()) % 3]
        yield Variant("black_bars", kind, source, ("-i", "{source}"), f"setsar=1,{graph}", x264(crf), None)
    for source, crf in itertools.product(PIECES, (20, 30)):
        yield Variant("black_bars", "as it is", source, ("-i", "{source}"), "null", x264(crf), None)
    # The edges of the others are as black as bars.
    for number, source in enumerate(name for name in PIECES if name not in ("earth", "hall", "band")):
        for kind, (outer, x, y, w, h) in BARS.items():
            graph = f"scale={w}:{h},setsar=1"
            if kind.startswith("dark"):
                graph += f",{DARK['half as bright']}"
            graph += f",pad={outer}:{x}:{y}:black"
            if "noisy" in kind:
                graph += ",noise=alls=4:allf=t"
            if "level" in kind:
                graph += ",lutyuv=y=max(val\\,24)"
            inputs = ("-i", "{source}")
            if "subtitle" in kind:
                inputs += ("-loop", "1", "-i", "{text}")
                graph = f"[0:v]{graph}[a];[a][1:v]overlay=(W-w)/2:H-h-8:shortest=1"
            crf = (20, 24, 28, 34)[number % 4]
            yield Variant("black_bars", kind, source, inputs, graph, x264(crf), (x, y, w, h))


BARS = {
    "letterbox": ("480:360", 0, 46, 480, 268),
    "wide letterbox": ("480:270", 0, 34, 480, 202),
    "thin letterbox": ("480:270", 0, 8, 480, 254),
    "pillarbox": ("480:270", 60, 0, 360, 270),
    "window": ("480:270", 60, 36, 360, 198),
    "noisy letterbox": ("480:270", 0, 34, 480, 202),
    "level letterbox": ("480:270", 0, 34, 480, 202),
    "subtitled letterbox": ("480:360", 0, 46, 480, 268),
    "dark letterbox": ("480:270", 0, 34, 480, 202),
    "dark pillarbox": ("480:270", 60, 0, 360, 270),
    "upright in wide": ("480:270", 164, 0, 152, 270),
}


def interlaced() -> Iterator[Variant]:
    """Woven fields, encoded as fields and as frames; progressive video, with fine patterns too."""
    fields = ("-flags", "+ilme+ildct", "-x264-params")
    for source in PIECES:
        for crf in (18, 23, 26, 30, 35):
            inputs = ("-i", "{source}")
            yield Variant("interlaced", f"progressive, crf {crf}", source, inputs, "null", x264(crf), None)
            if crf >= 26:
                yield Variant("interlaced", f"progressive, small, crf {crf}", source, inputs, "scale=240:-2",
                              x264(crf), None)  # fmt: skip
            for order in ("top", "bottom"):
                woven = f"crop=iw:trunc(ih/4)*4:0:0,tinterlace=interleave_{order}"
                flags = (*fields, "tff=1" if order == "top" else "bff=1")
                if crf != 35:
                    yield Variant("interlaced", f"{order} first, as frames, crf {crf}", source, inputs, woven,
                                  x264(crf), True)  # fmt: skip
                    yield Variant("interlaced", f"{order} first, as fields, crf {crf}", source, inputs, woven,
                                  x264(crf, *flags), True)  # fmt: skip
    inputs = ("-i", "{source}")
    for still, way, crf in itertools.product((*STILLS, *PHOTOS), PANS, (23, 30)):
        coded = x264(crf, "-frames:v", "48")
        yield Variant("interlaced", f"pan {way}, crf {crf}", still, inputs, pan(way, 1.5), coded, None)
    lines = (
        "geq=lum='if(lt(mod(Y-floor(N*{v}),{p}),{p}/2),190,50)*0.7+0.3*lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)'"
    )
    for source, period, speed in itertools.product(("cups", "bunny", "juggle"), (2, 3, 4, 6), (0, 1, 1.5)):
        kind, graph = f"lines of {period / 2:g}, {speed} down", lines.format(p=period, v=speed)
        yield Variant("interlaced", kind, source, inputs, graph, x264(26), None)


def upscaled() -> Iterator[Variant]:
    """Pictures shrunk and enlarged again, and pictures as the camera or the shrinking made them."""
    detailed = ("cups", "coffee", "juggle", "bedroom", "railing", "square", "bunny", "bikes")
    for source, crf in itertools.product(detailed, (18, 23, 28)):
        inputs = ("-i", "{source}")
        cut = "crop='min(iw,640)':'min(ih,360)'"
        if source not in ("railing", "bikes"):  # which are small
            for flags in ("bicubic", "area"):
                half = f"scale=trunc(iw/4)*2:trunc(ih/4)*2:flags={flags}"
                yield Variant(
                    "upscaled", f"shrunk, {flags}, crf {crf}", source, inputs, half, x264(crf), None
                )
        yield Variant("upscaled", f"native, crf {crf}", source, inputs, cut, x264(crf), None)
        for factor, how in itertools.product((1.5, 2, 3, 4), ("bilinear", "bicubic", "lanczos")):
            small = f"scale=trunc(iw/{factor}/2)*2:trunc(ih/{factor}/2)*2:flags=bicubic"
            graph = f"{cut},{small},scale={{w}}:{{h}}:flags={how}"
            yield Variant(
                "upscaled", f"{factor:g} times, {how}, crf {crf}", source, inputs, graph, x264(crf), factor
            )


GROUPS = {
    "rates": rates,
    "logo": logo,
    "black_bars": black_bars,
    "interlaced": interlaced,
    "upscaled": upscaled,
}


# How it is made

LOSSLESS = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p")


def make_sources(data: Path, folder: Path) -> dict[str, Path]:
    """Pieces, stills and logos: files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = data / "videos"
    needed = {videos / file for file, *_ in (*PIECES.values(), *STILLS.values())}
    needed |= {data / "clip_preprocess" / f"{name}.jpg" for name in PHOTOS}
    if missing := sorted(str(path) for path in needed if not path.exists()):
        raise UserError(f"needs the clips of the test data; not there: {', '.join(missing)}")
    made = draw_logos(folder)
    for name, (file, first, frames, graph) in PIECES.items():
        made[name] = folder / f"{name}.mp4"
        large = made[f"{name}_native"] = folder / f"{name}_native.mp4"
        chosen = f"select=between(n\\,{first}\\,{first + frames - 1})"
        whole = ",".join(filter(None, [chosen, graph, "settb=1/25,setpts=N"]))
        encode(["-i", str(videos / file)], whole, ("-r", "25", *LOSSLESS), large)
        encode(["-i", str(large)], "scale=480:-2", LOSSLESS, made[name])
    for name, (file, frame) in STILLS.items():
        made[name] = folder / f"{name}.png"
        encode(["-i", str(videos / file)], f"select=eq(n\\,{frame})", ("-frames:v", "1"), made[name])
    for name in PHOTOS:
        made[name] = data / "clip_preprocess" / f"{name}.jpg"
    for name in [*STILLS, *PHOTOS]:
        made[f"pan_{name}"] = folder / f"pan_{name}.mp4"
        encode(["-i", str(made[name])], pan("aslant", 1.5, width=480, height=270),
               ("-frames:v", "64", *LOSSLESS), made[f"pan_{name}"])  # fmt: skip
    return made


def encode(inputs: Sequence[str], graph: str, encoder: Sequence[str], target: Path) -> None:
    """Make a file that is not there."""
    if target.exists():
        return
    half = target.with_name(f"half_{target.name}")
    filters = ["-filter_complex" if "[" in graph else "-vf", graph]
    run_ffmpeg(find_ffmpeg(), [*inputs, *filters, *encoder, "-threads", "1", "-an", str(half)])
    half.rename(target)


def make(variant: Variant, sources: dict[str, Path], folder: Path) -> Path:
    """The clip of a variant, made where it is not there; its name is that of what was asked."""
    digest = zlib.crc32(repr(variant).encode())
    target = folder / f"{variant.group}-{variant.source}-{digest:08x}.mp4"
    if not target.exists():
        source = sources[variant.source + ("_native" if variant.group == "upscaled" else "")]
        names = {name: str(path) for name, path in sources.items()} | {"source": str(source)}
        graph = variant.filters
        if "{w}" in graph:
            width, height = size_of(source)
            graph = graph.format(w=min(width, 640), h=min(height, 360))
        folder.mkdir(parents=True, exist_ok=True)
        encode([part.format(**names) for part in variant.inputs], graph, variant.encoder, target)
    return target


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a video."""
    from tools.media.reading.probe import probe

    found = probe(path)
    return found.width, found.height
