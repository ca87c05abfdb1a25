"""Prompts for captions of images and videos: by name, from a file, or as text."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tools.errors import UserError

TEXT_SLOT = "{text}"
"""Placeholder for the existing caption in a prompt of the user's own."""

EXAMPLE = "Example "
"""Beginning of a line of a prompt with a sample caption."""

_LONGEST_PATH = 1000  # characters; a longer text is no path

_IMAGE_TASK = (
    "Write a caption for this image, from which someone could paint it without having seen it. Say who or "
    "what the main subject is and how it looks, name every other object that matters and where it stands, "
    "describe the surroundings, the light and the colours, and the style of the picture. Use at most five "
    "sentences."
)
_VIDEO_TASK = (
    "Write a caption for this video, from which someone could film it again without having seen it. Say who "
    "or what the main subject is and how it looks, what it does from beginning to end, name every other "
    "object that matters, describe the surroundings and the light, how the camera moves, and the style. "
    "Use at most six sentences."
)
_ONE_FRAME = (
    "This picture is a single frame of a video. Write a detailed caption for the video: the subject and how "
    "it looks, the motion that the frame suggests, every object that matters, the surroundings, the light, "
    "the framing, and the style. Do not mention that you saw one frame only. Use at most six sentences."
)
_MANY_FRAMES = (
    "These pictures are frames of one video, in the order in which they were shown. Write one detailed "
    "caption for the whole video: the subject and how it looks, what happens from the first frame to the "
    "last, every object that matters, the surroundings, the light, how the camera moves, and the style. "
    "Describe one continuous video, not separate pictures. Use at most six sentences."
)
_TEMPLATE = (
    "These pictures come from one video, in the order in which they were shown. Describe the video in one "
    "paragraph, in this order: the main subject and how it looks; what it does, step by step; the "
    "background and other objects; how the camera is placed and how it moves; light, colours and mood; the "
    "style. Say only what can be seen. Leave out what does not apply, without saying so. Do not begin with "
    "words such as 'The video shows'. Write no lists and no headings."
)
_PLAIN = "Answer with the caption alone."

_IMAGE_EXAMPLES = (
    "A red wooden rowing boat lies half on a pebble beach, its oars crossed over the seat. Behind it a grey "
    "lake reaches to a line of pines under low cloud. Wet stones shine in the flat morning light. A quiet "
    "landscape photograph in muted colours.",
    "An elderly baker with flour on her forearms pulls a tray of round loaves from a brick oven. The glow of "
    "the fire lights her face from the left, while shelves of baskets sink into shadow behind her. A warm "
    "documentary photograph at eye level.",
    "A flat drawing of a robot watering sunflowers on a rooftop. The robot is turquoise with a single round "
    "eye, and the flowers stand in yellow buckets along the edge. Rows of simple white houses fill the "
    "background below a pink sky. A clean vector illustration with thin outlines.",
)
_VIDEO_EXAMPLES = (
    "A cyclist in a yellow rain jacket climbs a winding mountain road in light drizzle. She rises from the "
    "saddle at the bend, and spray flies from the rear wheel. Dark firs and a low stone wall line the road, "
    "and mist drifts over the valley behind her. The camera follows from the side at the same speed, then "
    "lets her ride out of the frame. Soft overcast light, realistic sports footage.",
    "A ginger cat sits on a windowsill and watches snow fall outside. Its ears turn, it lifts one paw and "
    "taps the glass where a flake slides down. A mug steams beside it next to a stack of books, and the room "
    "behind lies in warm lamp light. The camera stands still, close to the cat, with the street out of "
    "focus. A calm scene of everyday life.",
    "Waves roll towards a black sand beach seen straight from above. White foam spreads into thin lace, "
    "pauses, and slides back into dark water. A lone walker with a red umbrella crosses the lower edge, tiny "
    "on the sand. The camera climbs slowly until the cliffs come into view. Aerial footage with cool "
    "colours and strong contrast.",
)
_SO_FAR = (
    "A caption that already exists for it says: '{text}'. Keep what it says that you cannot see for "
    "yourself, such as names and places, correct what is wrong, and add what is missing."
)


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt for the rows of a table.

    Attributes:
        request: The prompt without the existing caption.
        with_text: The prompt for a row that has a caption, with `TEXT_SLOT`; None when existing captions are
            not used.
        num_frames: Number of frames that the prompt refers to; None when it does not say.
        image_request: The prompt for an image in a table of videos; None for the same as for a video.
        image_with_text: As `with_text`, for such an image.
    """

    request: str
    with_text: str | None = None
    num_frames: int | None = None
    image_request: str | None = None
    image_with_text: str | None = None

    @property
    def uses_text(self) -> bool:
        """Whether column ``text`` of the table goes into the prompt."""
        return self.with_text is not None

    def fill(self, text: str | None = None, *, image: bool = False) -> str:
        """The prompt for one row.

        Args:
            text: The existing caption, if there is one.
            image: Whether the row is an image.
        """
        request, with_text = self.request, self.with_text
        if image and self.image_request is not None:
            request, with_text = self.image_request, self.image_with_text
        if self.with_text is None or with_text is None or not (text or "").strip():
            return request
        return with_text.replace(TEXT_SLOT, " ".join(str(text).split()))


def resolve_prompt(value: str | Prompt, *, existing_text: bool = False) -> Prompt:
    """Find the prompt that a command line names.

    Args:
        value: A name of `PROMPTS`, a text file, the prompt as text, or a `Prompt`. In a text, ``{text}``
            stands for the existing caption.
        existing_text: Insert the existing caption, also where the prompt has no place for it.

    Returns:
        The prompt.

    Raises:
        UserError: It is none of these, or the file is empty or cannot be read.
    """
    prompt = value if isinstance(value, Prompt) else PROMPTS.get(value.strip()) or _own(value)
    return _with_existing_text(prompt) if existing_text else prompt


def _own(value: str) -> Prompt:
    """The prompt of a text file, or of a text."""
    name = value.strip()
    text = (_read(name) if _is_path(name) else value).strip()
    if not text:
        raise UserError(f"--prompt {name}: is empty; type a prompt, or one of {', '.join(PROMPTS)}")
    if TEXT_SLOT not in text:
        return Prompt(text)
    without = re.sub(r"\s{2,}", " ", text.replace(TEXT_SLOT, "")).strip()
    return Prompt(without, with_text=text)


def _is_path(name: str) -> bool:
    """Whether the value is a file; a single word is a name or a file, never a prompt."""
    if not name or len(name) > _LONGEST_PATH or "\n" in name:
        return False
    if Path(name).is_file():
        return True
    if name.endswith((".txt", ".md")) and not re.search(r"\s", name):
        raise UserError(f"--prompt {name}: there is no such file")
    if not re.search(r"\s", name):
        raise UserError(
            f"--prompt {name}: neither a name ({', '.join(PROMPTS)}), nor a file, nor several words"
        )
    return False


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--prompt {name}: cannot be read as UTF-8 text: {error}") from None


def _with_existing_text(prompt: Prompt) -> Prompt:
    """The prompt, with a sentence about the existing caption where it has none."""
    if prompt.uses_text:
        return prompt
    image = prompt.image_request
    return dataclasses.replace(
        prompt,
        with_text=f"{prompt.request} {_SO_FAR}",
        image_with_text=None if image is None else f"{image} {_SO_FAR}",
    )


def _task(request: str, examples: tuple[str, ...] = ()) -> str:
    """A task, with sample captions."""
    if not examples:
        return f"{request} {_PLAIN}"
    shown = "\n".join(f"{EXAMPLE}{number}: {example}" for number, example in enumerate(examples, 1))
    return (
        f"{request} These captions of other material show the style that is wanted; take nothing else from "
        f"them.\n{shown}\n{_PLAIN}"
    )


def _video(request: str, examples: int = 0, num_frames: int | None = None) -> Prompt:
    return Prompt(
        _task(request, _VIDEO_EXAMPLES[:examples]),
        num_frames=num_frames,
        image_request=_task(_IMAGE_TASK, _IMAGE_EXAMPLES[:examples]),
    )


def _named() -> dict[str, Prompt]:
    image, image_3ex = Prompt(_task(_IMAGE_TASK)), Prompt(_task(_IMAGE_TASK, _IMAGE_EXAMPLES))
    return {
        "image": image,
        "image-text": _with_existing_text(image),
        "image-3ex": image_3ex,
        "video": _video(_VIDEO_TASK),
        "video-text": _with_existing_text(_video(_VIDEO_TASK)),
        "video-f1-detail-3ex": _video(_ONE_FRAME, 3, 1),
        "video-f1-detail-2ex-text": _with_existing_text(_video(_ONE_FRAME, 2, 1)),
        "video-f3-detail-3ex": _video(_MANY_FRAMES, 3, 3),
        "video-f3-detail-2ex-text": _with_existing_text(_video(_MANY_FRAMES, 2, 3)),
        "video-template": _video(_TEMPLATE),
    }


PROMPTS: dict[str, Prompt] = _named()
"""The named prompts; the names are those of Open-Sora, the wording is our own.

``f1`` and ``f3`` are for one frame and for three, ``2ex`` and ``3ex`` have sample captions, and ``text``
inserts the existing caption. An image among videos gets the prompt for images.
"""
