"""Where the weights of a CLIP are: a published model by name, a file, or a Hugging Face folder or id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tools.errors import UserError
from tools.models.clip_architecture import (
    CONFIG_NAME,
    OPENAI,
    Architecture,
    find_architecture,
    fitting_names,
    read_architecture,
)
from tools.models.clip_openai import openai_config, read_clip_file, tensor_sizes
from tools.models.clip_pictures import PICTURES_NAME, read_pictures
from tools.models.clip_preprocess import OPENAI_PICTURES, Pictures
from tools.models.digests import combined_sha256, file_sha256
from tools.models.hub import hub_folder, is_hub_id, read_json, snapshot, weight_files
from tools.models.required import RequiredWeights
from tools.models.weights import WEIGHTS, FoundWeights, chosen_file, find_weights

CLIP_MODELS: dict[str, tuple[str, int]] = {
    "ViT-L/14": ("clip-vit-l-14", 224),
    "ViT-L/14@336px": ("clip-vit-l-14-336px", 336),
    "ViT-B/32": ("clip-vit-b-32", 224),
    "ViT-B/16": ("clip-vit-b-16", 224),
}
"""OpenAI's models: name to (key of the weights, image side in pixels)."""

_TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json")
_BESIDE_WEIGHTS = ("config.json", PICTURES_NAME, *_TOKENIZER)
_OPEN_CLIP = ("open_clip_*model*.safetensors", "open_clip_*model*.bin")


@dataclass(frozen=True)
class CLIPCheckpoint:
    """Where the weights of a CLIP are, and what is known before they are loaded.

    Attributes:
        path: A file of OpenAI's or open_clip's, or a folder in the Hugging Face format.
        digest: SHA-256 of the weights and of their architecture.
        image_size: Side in pixels of the square images it takes.
        context_length: Tokens of a text, the two around it included.
        architecture: For a file, the properties that are not in its tensors.
        pictures: How pictures are prepared for it.
    """

    path: Path
    digest: str
    image_size: int
    context_length: int = 77
    architecture: Architecture = OPENAI
    pictures: Pictures = OPENAI_PICTURES

    @property
    def folder(self) -> Path | None:
        """The folder of this model, which may have its tokenizer; None for a single file."""
        if self.path.is_dir():
            return self.path
        return self.path.parent if (self.path.parent / CONFIG_NAME).is_file() else None


def find_clip(name_or_path: str | Path = "ViT-L/14", config: str | Path | None = None) -> CLIPCheckpoint:
    """Find the weights of a CLIP without loading the model.

    Args:
        name_or_path: A name of `CLIP_MODELS` (also spelled ``ViT-L-14``), a file of OpenAI's or open_clip's,
            a folder with a CLIP of Hugging Face's or open_clip's, or a Hugging Face id such as
            ``openai/clip-vit-large-patch14`` (taken from the local cache when it is there).
        config: For a file of open_clip: the name of its model, or a file such as ``open_clip_config.json``,
            see `tools.models.clip_architecture.find_architecture`. By default the one in its folder.

    Raises:
        UserError: There is no such model, its weights are missing or are not the published ones, or its
            architecture is unknown.
    """
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.is_file():
        return _file_source(chosen_file(WEIGHTS["clip-vit-l-14"], path), config)
    if path.is_dir():
        return _folder_source(snapshot(path), config)
    if known := _published(name):
        key, image_size = known
        found = find_weights(key)
        if found.published and config is None:
            return CLIPCheckpoint(found.path, found.sha256, image_size)
        return _file_source(found, config)
    if not is_hub_id(name):
        raise UserError(_no_such(name))
    return _folder_source(_hub_folder(name), config)


def required_clip(name_or_path: str | Path, *, texts: bool = False) -> list[RequiredWeights]:
    """The weights that `find_clip` needs, with ``texts`` the vocabulary too; no file is read."""
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    vocabulary = [RequiredWeights("clip-bpe")] if texts else []
    if path.exists():
        folder = snapshot(path) if path.is_dir() else path.parent
        own = path.is_dir() or (folder / CONFIG_NAME).is_file()
        return [] if own and any((folder / file).is_file() for file in _TOKENIZER) else vocabulary
    if known := _published(name):
        return [RequiredWeights(known[0]), *vocabulary]
    return [] if is_hub_id(name) else [RequiredWeights(problem=_no_such(name)), *vocabulary]


def _no_such(name: str) -> str:
    return f"{name}: no such file or folder, and no known model; the names are {', '.join(CLIP_MODELS)}"


def _published(name: str) -> tuple[str, int] | None:
    spelled = {known.replace("/", "-").replace("@", "-").lower(): known for known in CLIP_MODELS}
    known = spelled.get(name.replace("/", "-").replace("@", "-").lower().removeprefix("clip-"))
    return CLIP_MODELS[known] if known else None


def _hub_folder(name: str) -> Path:
    """The folder of a model on the hub, in the format of transformers, else in that of open_clip."""
    try:
        folder = hub_folder(name, _BESIDE_WEIGHTS, known=tuple(CLIP_MODELS))
        if not (folder / "config.json").is_file() or read_json(folder / "config.json").get("model_type"):
            return folder
        reason = None
    except UserError as error:
        reason = error
    try:
        return hub_folder(name, (CONFIG_NAME, *_TOKENIZER), weights=_OPEN_CLIP)
    except UserError as error:
        raise reason or error from None


def _file_source(found: FoundWeights, config: str | Path | None) -> CLIPCheckpoint:
    file = read_clip_file(found.path, copy=False)
    by_openai = file.by_openai or found.sha256 in {weights.sha256 for weights in WEIGHTS.values()}
    beside = found.path.parent / CONFIG_NAME
    if config is not None:
        architecture = find_architecture(config)
        if by_openai and (architecture.activation, architecture.head_width) != ("quick_gelu", 64):
            raise UserError(
                f"{found.path}: a file of OpenAI's, with QuickGELU and heads 64 wide, which --clip-config "
                f"{config} contradicts; do without it"
            )
    elif by_openai:
        architecture = OPENAI
    elif beside.is_file():
        architecture = read_architecture(beside)
    else:
        raise UserError(_unknown_architecture(found.path, tensor_sizes(file.state, found.path)))
    dimensions = openai_config(file.state, found.path, architecture)
    digest = found.sha256
    if architecture.digest:
        digest = hashlib.sha256(f"{digest}\0{architecture.digest}".encode()).hexdigest()
    return CLIPCheckpoint(
        found.path,
        digest,
        dimensions["vision_config"]["image_size"],
        dimensions["text_config"]["max_position_embeddings"],
        architecture,
        architecture.pictures,
    )


def _unknown_architecture(path: Path, sizes: dict[str, int]) -> str:
    names = fitting_names(sizes)
    fitting = f" (its tensors fit {' or '.join(names)})" if names else ""
    return (
        f"{path}: its tensors do not tell whether it was trained with QuickGELU, as OpenAI's models, or with "
        f"GELU, as most of open_clip's, nor how wide its heads are: put its {CONFIG_NAME} beside it, or say "
        f"--clip-config NAME|FILE{fitting}"
    )


def _folder_source(folder: Path, name: str | Path | None) -> CLIPCheckpoint:
    files = next((found for pattern in _OPEN_CLIP if (found := sorted(folder.glob(pattern)))), [])
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    weights = weight_files(folder)
    if files and (name is not None or config.get("model_type") != "clip" or not weights):
        return _file_source(FoundWeights(files[0], file_sha256(files[0]), published=False), name)
    config = config or read_json(folder / "config.json")
    if config.get("model_type") != "clip":
        raise UserError(f"{folder}: a model of type {config.get('model_type')}, not clip")
    if not weights:
        raise UserError(f"{folder}: no weights (model.safetensors or pytorch_model.bin) beside config.json")
    if name is not None:
        raise UserError(f"{folder}: has its own config.json; --clip-config is for files of open_clip")
    vision = config.get("vision_config") or config.get("vision_config_dict") or {}
    text = config.get("text_config") or config.get("text_config_dict") or {}
    # 224 and 77 are the format's own defaults
    sizes = vision.get("image_size", 224), text.get("max_position_embeddings", 77)
    pictures = read_pictures(folder, sizes[0])
    counted = [folder / "config.json", *weights]
    if pictures != OPENAI_PICTURES:
        counted.append(folder / PICTURES_NAME)
    return CLIPCheckpoint(folder, combined_sha256(counted), *sizes, pictures=pictures)
