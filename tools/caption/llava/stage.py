"""Captions of a local model as a stage: the frames, the prompt, and the cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tools import cli
from tools.caption.llava.checkpoint import find_checkpoint, no_such_model
from tools.caption.llava.model import ATTENTIONS, choose_precision
from tools.caption.llava.processor import Question
from tools.caption.prompt_options import DEFAULT_POLICY, prompt_frames_option, prompt_option
from tools.caption.prompts import Prompt
from tools.caption.reasoning import without_reasoning
from tools.errors import MediaError, UserError
from tools.media.reading.extensions import is_image
from tools.media.reading.requests import Frames
from tools.media.reading.sampling import Sampling, parse_sampling, split_sampling
from tools.options import Option, option, option_field
from tools.options.values import Choice, Number, Text, Whole
from tools.stage.common_options import decoder_option, device_option, precision_option
from tools.stage.stage import REMARKS, Row, Stage

if TYPE_CHECKING:
    from tools.caption.llava.parallel import Group
    from tools.models.required import RequiredWeights

_FRAMES = 1
_COUNTED = ("uniform_mid", "first_middle_last", "opensora")  # policies with a number of frames
_FLASH = "flash_attention_2"


@dataclasses.dataclass(frozen=True)
class _AttentionOption(Option):
    """``--flash-attention``; from Python the name of any implementation of attention."""

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flag."""
        how = {"action": "store_const", "const": _FLASH, "default": default}
        cli.advanced(group.add_argument("--flash-attention", dest=name, help=self.help, **how))

    def names(self, name: str) -> dict[str, str]:
        """The field, and the flag."""
        return dict.fromkeys((name, "flash_attention"), name)

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> str:
        """The implementation; True and False are values of the flag."""
        value = given.get(name, default)
        return (_FLASH if value else default) if isinstance(value, bool) else value


@dataclasses.dataclass(kw_only=True)
class LlavaStage(Stage):
    """Captions by a vision-language model: column ``path`` in, columns ``text`` and ``text_finish`` out.

    Existing cells of ``text`` are replaced, and inserted into the prompt if it says so.

    Raises:
        UserError: The model is missing or incomplete, or a value is not supported.
    """

    name = "caption"
    suffix = "_caption"
    checks_order = True
    version = 3
    output_columns = {
        "text": "String",
        "text_finish": "String",
        REMARKS: "Object",
    }
    # The time of a batch hardly depends on its rows, but on its longest caption: small ones gain nothing.
    batch_seconds = 120.0

    model_path: str = option(
        "",
        "folder of a model in the Hugging Face layout, or its id",
        Text("DIR|ID"),
        aliases=("--model",),
        required=True,
    )
    prompt: Prompt = prompt_option("video")
    sampling: Sampling | None = prompt_frames_option(_FRAMES)
    resize: int = option(
        336,
        "shorter side to which larger frames are scaled down; 0: as they are",
        Whole(0, metavar="PIXELS"),
    )
    max_tokens: int = option(300, "most tokens of a caption", Whole(1))
    chat_template: str | None = option(
        None, "Jinja template instead of the checkpoint's own", Text("FILE"), everyday=False
    )
    device: str = device_option()
    precision: str = precision_option("auto: on a GPU that of the checkpoint, on a CPU fp32")
    attention: str = option_field(
        "sdpa", _AttentionOption("use FlashAttention 2 (a package of its own)", Choice(ATTENTIONS))
    )
    tie_margin: float | None = option(
        None,
        "generate a caption again alone in which two tokens were this close, so that other rows of the batch "
        "cannot change it; 0: never",
        Number(0, metavar="F"),
        shown="fp32: 0.0001, else 0",
        none=True,
        everyday=False,
    )
    decoder: str = decoder_option()

    def configure(self) -> None:
        """Choose the frames, and require column text when the prompt takes the existing caption."""
        self._group: Group | None = None
        frames: Any = self.sampling or DEFAULT_POLICY
        if isinstance(frames, str):
            policy, text, _ = split_sampling(frames)
            default = _FRAMES if policy in _COUNTED and not text else None
            self.sampling = parse_sampling(frames, self.prompt.num_frames or default)
        if self.prompt.uses_text:
            self.required_columns = ("path", "text")

    def spread_over(self, group: Group) -> None:
        """Load the model together with the other processes of a group; called before `setup`."""
        self._group = group

    def required_weights(self) -> list[RequiredWeights]:
        """The model, where it is a folder."""
        from tools.models.required import RequiredWeights

        problem = no_such_model(self.model_path)
        return [RequiredWeights(problem=problem)] if problem else []

    def find(self) -> None:
        """Find the model and the device."""
        from tools.models.device import resolve_device

        self.checkpoint = find_checkpoint(self.model_path, self.chat_template)
        self.device = resolve_device(self.device)
        self.precision = choose_precision(self.precision, self.device, self.checkpoint)
        if self.attention == _FLASH and (self.device == "cpu" or self.precision == "fp32"):
            raise UserError("--flash-attention: needs a GPU and --precision fp16 or bf16")

    def notes(self) -> list[str]:
        """A note if the chat template was assumed."""
        if not self.checkpoint.template_is_assumed:
            return []
        return [
            f"note: {self.checkpoint.folder} has no chat template; that of LLaVA 1.5 is assumed "
            "(USER: <image> PROMPT ASSISTANT:); --chat-template FILE for another"
        ]

    def config(self) -> dict[str, Any]:
        """What changes the captions: model, prompt, frames, arithmetic; not where it runs."""
        assert self.sampling is not None, "chosen when the stage was made"
        return {
            "model": self.checkpoint.digest,
            "prompt": dataclasses.asdict(self.prompt),
            "sampling": self.sampling.asdict(),
            "resize": self.resize,
            "max_tokens": self.max_tokens,
            "precision": self.precision,
            "attention": self.attention,
            "tie_margin": self.tie_margin,
            "decoder": self.decoder,
        }

    def prepare(self, row: Row, frames: Frames) -> Question:
        """Scale the frames down, and fill in the prompt."""
        text = self.prompt.fill(row.get("text"), image=is_image(row["path"]))
        return Question(tuple(scale_down(frame.image, self.resize) for frame in frames), text)

    def setup(self) -> None:
        """Load the model, together with the other processes of the group."""
        if self._group:
            self._group.load()
        self._captioner = self.load()

    def load(self) -> Any:
        """The `tools.caption.llava.captioner.Captioner` of this stage."""
        from tools.caption.llava.captioner import Captioner

        return Captioner(
            self.checkpoint,
            device=self.device,
            precision=self.precision,
            attention=self.attention,
            max_tokens=self.max_tokens,
            tie_margin=self.tie_margin,
            group=self._group,
        )

    def score(self, batch: list[Question]) -> list[dict[str, Any] | MediaError]:
        """The captions of a batch, generated together."""
        captions = self._captioner.caption(batch)
        return [c if isinstance(c, MediaError) else self._cells(c) for c in captions]

    def _cells(self, caption: Any) -> dict[str, Any] | MediaError:
        reply = without_reasoning(caption.text, caption.finish)
        if reply.unfinished or (reply.reasoning and not reply.text):
            tokens = f"{caption.tokens} tokens, --max-tokens allows more"
            return MediaError("no_answer", "", f"reasoning without an answer ({tokens})")
        text = " ".join(reply.text.split())
        context, remarks = self._captioner.context, []
        if not text:
            remarks.append("the model wrote nothing")
        if caption.finish == "length":
            remarks.append(f"the caption was cut off at {self.max_tokens} tokens")
        if context is not None and caption.prompt_tokens + caption.tokens > context:
            remarks.append(f"prompt and caption exceed the model's context of {context} tokens")
        return {"text": text, "text_finish": caption.finish, REMARKS: remarks}


def scale_down(image: np.ndarray, shorter: int) -> np.ndarray:
    """Scale a picture so that its shorter side has so many pixels (PIL, bicubic); smaller ones stay.

    Args:
        image: uint8, shape (H, W, 3).
        shorter: Pixels; 0 for no scaling.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if not shorter or min(height, width) <= shorter:
        return image
    scale = shorter / min(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
