"""Models in the Hugging Face format: their folder, here or fetched, and which files hold the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.errors import UserError
from tools.models.clip_openai import first_line

SAFETENSORS, PICKLES = "model*.safetensors", "pytorch_model*.bin"


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from: safetensors before pickles."""
    for pattern in (SAFETENSORS, PICKLES):
        if files := sorted(folder.glob(pattern)):
            return files
    return []


def is_hub_id(name: str) -> bool:
    """Whether a text can be the id of a model, as ``laion/clap-htsat-unfused``."""
    return name.count("/") == 1 and not Path(name).suffix and not name.startswith((".", "/", "~"))


def hub_folder(name: str, others: Sequence[str], *, known: Sequence[str] = ()) -> Path:
    """The folder of a Hugging Face model: from the local cache, else downloaded.

    Args:
        name: Id of the model.
        others: Names of the files that are needed beside the weights.
        known: Names that could have been meant, for the message.

    Raises:
        UserError: It is neither here nor to be had.
    """
    from huggingface_hub import snapshot_download

    safe, pickled = [*others, f"{SAFETENSORS}*"], [*others, f"{PICKLES}*"]
    reason = "it has no weights that transformers reads"
    for local, patterns in ((True, safe + pickled), (False, safe), (False, pickled)):
        try:
            folder = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local))
        except Exception as error:  # the hub library raises many kinds: no network, no such model, no access
            reason = first_line(error)
            continue
        if weight_files(folder):
            return folder
    no_name = f" not one of {', '.join(known)}," if known else ""
    raise UserError(
        f"{name}: not a file or folder here,{no_name} and Hugging Face could not give it ({reason})"
    )
