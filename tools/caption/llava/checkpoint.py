"""The folder of a vision-language model, before its weights are loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tools.caption.llava.converted import converted_id, in_other_format, is_in_llavas_layout
from tools.errors import UserError, first_line
from tools.models.digests import combined_sha256
from tools.models.hub import SAFETENSORS, read_json, snapshot, weight_files
from tools.models.other_files import refuse_other_file

LLAVA_1_5_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}{% endif %}"
    "{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""The chat template of LLaVA 1.5: ``USER: <image>\\nPROMPT ASSISTANT:`` (its model card)."""

_OTHERS = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt", "additional_chat_templates/*.jinja")


@dataclass(frozen=True)
class Checkpoint:
    """A model that transformers can load.

    Attributes:
        folder: Its folder.
        digest: SHA-256 over its weights, its tokenizer, its configuration and the chat template.
        model_type: Its architecture, as ``config.json`` names it.
        dtype: Number format of the weights as ``config.json`` names it, such as ``float16``; empty when it
            does not.
        chat_template: A Jinja template that replaces the checkpoint's own; None for its own.
        template_is_assumed: The checkpoint has no template, and LLaVA 1.5's is used.
    """

    folder: Path
    digest: str
    model_type: str
    dtype: str
    chat_template: str | None = None
    template_is_assumed: bool = False


def find_checkpoint(name_or_path: str | Path, chat_template: str | Path | None = None) -> Checkpoint:
    """Find a model without loading it.

    Args:
        name_or_path: A folder in the Hugging Face layout, or an id such as ``llava-hf/llava-1.5-7b-hf``
            (taken from the local cache when it is there, else downloaded).
        chat_template: A file with a Jinja template, instead of the checkpoint's own.

    Raises:
        UserError: There is no such model, it is incomplete, it is of a layout that transformers does not
            read, or it has no chat template and none is known for it.
    """
    folder = _folder(str(name_or_path))
    config = read_json(folder / "config.json")
    if is_in_llavas_layout(config):
        raise UserError(f"{folder}: {in_other_format(str(name_or_path), config)}")
    weights = weight_files(folder)
    if not weights:
        raise UserError(f"{folder}: no weights (model*.safetensors or pytorch_model*.bin) beside config.json")
    model_type = str(config.get("model_type") or "")
    if not model_type:
        raise UserError(f"{folder}: config.json names no model_type; not a model that transformers loads")
    template, assumed = _template(folder, model_type, chat_template)
    others = [path for pattern in _OTHERS for path in folder.glob(pattern)]
    for path in others:
        refuse_other_file(path, "a file of a model", checkpoint=False)
    digest = combined_sha256([*weights, *others])
    if template is not None:
        digest = hashlib.sha256(f"{digest}\0{template}".encode()).hexdigest()
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "").removeprefix("torch.")
    return Checkpoint(folder, digest, model_type, dtype, template, assumed)


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return snapshot(path)
    if problem := no_such_model(name):
        raise UserError(problem)
    return _hub_folder(name)


def no_such_model(name: str) -> str:
    """An error for a name that is neither a folder nor can be an id; else empty."""
    if Path(name).expanduser().is_dir() or (name.count("/") == 1 and not name.startswith((".", "/", "~"))):
        return ""
    return f"{name}: no such folder; --model-path takes the folder of a model, or its id on the hub"


def _hub_folder(name: str) -> Path:
    """The folder of a model on the hub: from the local cache, else downloaded."""
    from huggingface_hub import snapshot_download

    if converted := converted_id(name):
        raise UserError(
            f"{name}: in the layout of LLaVA's own code, which transformers does not load; "
            f"the same weights in the format that loads are {converted}"
        )
    reason = ""
    for local in (True, False):
        try:
            folder = snapshot_download(name, allow_patterns=[*_OTHERS, SAFETENSORS], local_files_only=local)
        except Exception as error:  # the hub library raises many kinds: no network, no such model, no access
            reason = first_line(error)
            continue
        if sorted(Path(folder).glob(SAFETENSORS)):
            return Path(folder)
        reason = "it has no safetensors"
    raise UserError(f"{name}: no such folder here, and the hub could not give it ({reason})")


def _template(folder: Path, model_type: str, given: str | Path | None) -> tuple[str | None, bool]:
    """The template to use instead of the checkpoint's own, and whether it is a guess."""
    if given is not None:
        try:
            return Path(given).expanduser().read_text(encoding="utf-8-sig"), False
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--chat-template {given}: cannot be read as UTF-8 text: {error}") from None
    if _has_template(folder):
        return None, False
    if model_type == "llava":  # other types have several language models, each with its own template
        return LLAVA_1_5_TEMPLATE, True
    raise UserError(
        f"{folder}: has no chat template (chat_template.jinja), so the prompt format of this {model_type} "
        "model is unknown; copy the file from the model's page, or name one with --chat-template FILE"
    )


def _has_template(folder: Path) -> bool:
    """Whether transformers will find a chat template there."""
    if (folder / "chat_template.jinja").is_file():
        return True
    named = ("chat_template.json", "processor_config.json", "tokenizer_config.json")
    return any(read_json(folder / name).get("chat_template") for name in named if (folder / name).is_file())
