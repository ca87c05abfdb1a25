"""Models in the Hugging Face format: their folder, local or downloaded, and their weight files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import UserError, first_line
from tools.models.other_files import refuse_other_file

SAFETENSORS, PICKLES = "model*.safetensors", "pytorch_model*.bin"


@dataclass(frozen=True)
class HubModel:
    """A default model on the Hugging Face hub.

    Attributes:
        key: Its name on the command line.
        title: Its usual name.
        name: Its id.
        env: Environment variable for the path of a folder to use instead.
        others: Names of the other files that are needed.
        size: Size of the weights in bytes.
        licence: Licence of the weights.
        purpose: What it is for.
    """

    key: str
    title: str
    name: str
    env: str
    others: tuple[str, ...]
    size: int
    licence: str
    purpose: str

    def is_here(self) -> bool:
        """Whether it is in the hub's cache, or the user set a folder; no file is read."""
        from huggingface_hub.constants import HF_HUB_CACHE

        if os.environ.get(self.env):
            return True
        folder = snapshot(Path(HF_HUB_CACHE) / f"models--{self.name.replace('/', '--')}")
        return any(any(folder.glob(pattern)) for pattern in (SAFETENSORS, PICKLES))


HUB_MODELS = {
    "clap": HubModel(
        key="clap",
        title="CLAP",
        name="laion/clap-htsat-unfused",
        env="VIDSIEVE_CLAP",
        others=(
            *("config.json", "preprocessor_config.json", "processor_config.json"),
            *("tokenizer.json", "vocab.json", "merges.txt"),
            *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        ),
        size=614_000_000,
        licence="Apache-2.0",
        purpose="audio and text features: the match of sound",
    ),
}
"""By key."""


def weight_files(folder: Path) -> list[Path]:
    """The weight files that transformers reads: safetensors, else pickles.

    Raises:
        UserError: One of them is another kind of file, or an index names missing files.
    """
    for pattern in (SAFETENSORS, PICKLES):
        if files := sorted(folder.glob(pattern)):
            for file in files:
                refuse_other_file(file, "weights")
            _check_index(folder, pattern)
            return files
    return []


def _check_index(folder: Path, pattern: str) -> None:
    """Check that all parts listed in ``*.index.json`` exist."""
    for index in folder.glob(f"{pattern}.index.json"):
        parts = set((read_json(index).get("weight_map") or {}).values())
        missing = sorted(part for part in parts if not (folder / part).is_file())
        if missing:
            raise UserError(
                f"{folder}: {len(missing)} of {len(parts)} files of weights are missing, such as {missing[0]}"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that belongs to a model.

    Raises:
        UserError: It is missing, or is not a JSON object.
    """
    if not path.is_file():
        raise UserError(f"{path.parent}: not the folder of a model: it has no {path.name}")
    refuse_other_file(path, "JSON", checkpoint=False)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: is no JSON object")
    return found


def is_hub_id(name: str) -> bool:
    """Whether a text can be the id of a model, such as ``laion/clap-htsat-unfused``."""
    return name.count("/") == 1 and not Path(name).suffix and not name.startswith((".", "/", "~"))


def snapshot(folder: Path) -> Path:
    """The files of a model in a folder of the hub's cache (``models--OWNER--NAME``), or the folder itself."""
    try:
        revision = (folder / "refs" / "main").read_text().strip()
    except OSError:
        kept = [path for path in folder.glob("snapshots/*") if path.is_dir()]
        return kept[0] if len(kept) == 1 else folder
    found = folder / "snapshots" / revision
    return found if found.is_dir() else folder


def hub_folder(
    name: str,
    others: Sequence[str],
    *,
    weights: tuple[str, str] = (SAFETENSORS, PICKLES),
    known: Sequence[str] = (),
) -> Path:
    """The folder of a Hugging Face model: from the local cache, else downloaded.

    Args:
        name: Id of the model.
        others: Names of the other files that are needed.
        weights: Patterns of the weight files, the preferred ones first.
        known: Names to suggest in the message.

    Raises:
        UserError: It is not in the cache, and cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    safe, pickled = ([*others, f"{pattern}*"] for pattern in weights)
    reason = "it has no weights that transformers reads"
    for local, patterns in ((True, safe + pickled), (False, safe), (False, pickled)):
        try:
            folder = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local))
        except Exception as error:  # the hub library raises many kinds: no network, no such model, no access
            reason = first_line(error)
            continue
        if any(any(folder.glob(pattern)) for pattern in weights):
            return folder
    no_name = f" not one of {', '.join(known)}," if known else ""
    raise UserError(
        f"{name}: not a file or folder here,{no_name} and Hugging Face could not give it ({reason})"
    )


def fetch_model(model: HubModel) -> Path:
    """The folder of a default model: from the local cache, else downloaded.

    Raises:
        UserError: It is not in the cache, and cannot be downloaded.
    """
    return hub_folder(model.name, model.others)
