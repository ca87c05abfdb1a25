"""Weight files: find, verify and download them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tools import cli
from tools.errors import UserError
from tools.models.digests import file_sha256
from tools.models.download import download_file, mirrored
from tools.models.hub import HUB_MODELS, HubModel, fetch_model
from tools.models.other_files import refuse_other_file, what_it_is
from tools.models.published import WEIGHTS, WeightFile
from tools.typed_names import as_typed

_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FoundWeights:
    """A file that is used as weights.

    Attributes:
        path: The file.
        sha256: Digest of its bytes.
        published: Whether these are the published bytes; False for another file that the user chose.
    """

    path: Path
    sha256: str
    published: bool


def weight_file(name: str) -> WeightFile:
    """The registered file with this key (``clip-vit-l-14``), title (``ViT-L/14``) or file name.

    Raises:
        UserError: There is none.
    """
    for file in WEIGHTS.values():
        if name in (file.key, file.title, *file.file_names) or name == file.file_names[0].removesuffix(".pt"):
            return file
    raise UserError(f"no weights are called {name}; there are {', '.join((*WEIGHTS, *HUB_MODELS))}")


def find_weights(key: str, explicit: str | Path | None = None) -> FoundWeights:
    """Find a weight file, and verify it.

    The search order is: ``explicit``; the file's environment variable; the folder in
    ``$VIDSIEVE_WEIGHTS``; ``pretrained_models`` in the current folder; the project's own
    ``pretrained_models``; folders and packages of other software. A path from the first two is
    used as it is; a file found by its name must be the published one.

    Args:
        key: A key of `WEIGHTS`.
        explicit: What the user named on the command line or in a call.

    Raises:
        UserError: The file is not found, or a file of this name has other bytes.
    """
    file = WEIGHTS[key]
    chosen = explicit or os.environ.get(file.env)
    if chosen:
        return chosen_file(file, chosen, origin="" if explicit else f" (from ${file.env})")
    path = _in_folders(file)
    if path is None:
        raise UserError(missing([file]))
    digest = file_sha256(path)
    if digest != file.sha256:
        found = what_it_is(path, checkpoint=file.is_checkpoint)
        found = f" ({found})" if found else ""
        raise UserError(
            f"{path}: these are not the published weights of {file.title}{found}: sha256 {digest}, "
            f"expected {file.sha256}; remove the file and run "
            f"'python -m tools.models.weights download {file.key}', or, to use it as it is, "
            f"set {file.env}={path}"
        )
    return FoundWeights(path, digest, published=True)


def locate(file: WeightFile, explicit: str | Path | None = None) -> Path | None:
    """Where `find_weights` would find a file, or None; no file is read.

    The path of a file that the user named is returned whether it exists or not.
    """
    if chosen := explicit or os.environ.get(file.env):
        return Path(chosen).expanduser()
    return _in_folders(file)


def missing(files: list[WeightFile], further: Sequence[tuple[str, str, str]] = ()) -> str:
    """The message for missing files: which, where they were searched, and how to download them all.

    Args:
        files: The files.
        further: Missing models of the hub: key, title and environment variable of each.
    """
    folders = dict.fromkeys(str(folder) for file in files for folder in _folders(file))
    keys = [*(file.key for file in files), *(key for key, _, _ in further)]
    variables = [*(file.env for file in files), *(env for _, _, env in further)]
    names = [f"{file.title} ({file.file_names[0]})" for file in files]
    names += [title for _, title, _ in further]
    if len(files) == 1 and not further:
        names = [f"{files[0].title}: {' or '.join(files[0].file_names)}"]
    are, them, own = ("is", "them", "a file") if len(keys) == 1 else ("are", "all", "files")
    return (
        f"weights are missing: {', '.join(names)} {are} not in {', '.join(folders)}; fetch {them} with "
        f"'python -m tools.models.weights download {' '.join(keys)}', or set {', '.join(variables)} to {own} "
        "of your own"
    )


def chosen_file(file: WeightFile, path: str | Path, *, origin: str = "") -> FoundWeights:
    """A file that the user chose, which is used as it is.

    Args:
        file: What it is used for.
        path: Where it is.
        origin: Where its path comes from, in brackets, for messages.

    Raises:
        UserError: There is no such file, or it is not a weight file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path}{origin}: there is no such file; weights of {file.title} were expected")
    refuse_other_file(path, f"weights of {file.title}", checkpoint=False)
    digest = file_sha256(path)
    return FoundWeights(path, digest, published=digest == file.sha256)


def download_weights(key: str, folder: str | Path | None = None, *, progress: bool = True) -> Path:
    """Download a published file and verify it, unless it exists already.

    Args:
        key: A key of `WEIGHTS`.
        folder: Where to; by default the first folder of the search order that fits.
        progress: Show a progress bar.

    Returns:
        The file.

    Raises:
        UserError: No network, no such file on the server, wrong bytes, or a wrong file is in the way.
    """
    file = WEIGHTS[key]
    target = Path(folder or _download_folder()).expanduser() / file.file_names[0]
    if target.is_file():
        if file_sha256(target) == file.sha256:
            return target
        raise UserError(
            f"{target}: another file is in the way (not the published {file.title}); move it and try again"
        )
    return download_file(mirrored(file.url), target, sha256=file.sha256, size=file.size, progress=progress)


def _folders(file: WeightFile) -> list[Path]:
    own = os.environ.get("VIDSIEVE_WEIGHTS")
    folders = [
        *([Path(own).expanduser()] if own else []),
        Path("pretrained_models").absolute(),
        _PROJECT / "pretrained_models",
        *(Path(folder).expanduser() for folder in file.folders),
        *(Path(folder) for name in file.packages for folder in _package_folders(name)),
    ]
    return list(dict.fromkeys(folders))


def _package_folders(name: str) -> list[str]:
    spec = find_spec(name)
    return list(spec.submodule_search_locations or ()) if spec else []


def _in_folders(file: WeightFile) -> Path | None:
    candidates = (folder / name for folder in _folders(file) for name in file.file_names)
    return next((path for path in candidates if path.is_file()), None)


def _download_folder() -> Path:
    if own := os.environ.get("VIDSIEVE_WEIGHTS"):
        return Path(own)
    here, project = Path("pretrained_models").absolute(), _PROJECT / "pretrained_models"
    return project if project.is_dir() and not here.is_dir() else here


def weight_state(file: WeightFile) -> tuple[Literal["ok", "own", "missing", "wrong"], str]:
    """The state of a file, and its path or what is wrong. ``own`` is another file that the user chose."""
    try:
        found = find_weights(file.key)
    except UserError as error:
        chosen = os.environ.get(file.env)
        return ("wrong" if chosen or _in_folders(file) else "missing"), str(error)
    return ("ok" if found.published else "own"), str(found.path)


def _list(files: list[WeightFile], models: list[HubModel]) -> int:
    for model in models:
        state = "ok" if model.is_here() else "missing"
        print(f"{model.key:22} {state:8} {model.size / 1e6:6.0f} MB  {model.licence:10} {model.purpose}")
        print(f"{'':22} https://huggingface.co/{model.name}")
    for file in files:
        state, detail = weight_state(file)
        shown = detail if state in ("ok", "own") else "-"
        print(f"{file.key:22} {state:8} {file.size / 1e6:6.0f} MB  {file.licence:10} {file.purpose}")
        print(f"{'':22} {shown}\n{'':22} {file.url}")
    return 0


def _check(files: list[WeightFile], models: list[HubModel]) -> int:
    good = True
    for model in models:
        here = model.is_here()
        good &= here
        print(f"{model.key:22} {'ok' if here else 'missing':8} {model.name}")
    for file in files:
        state, detail = weight_state(file)
        good &= state in ("ok", "own")
        print(f"{file.key:22} {state:8} {as_typed(detail.removeprefix('weights are missing: '))}")
    return 0 if good else 1


def main(argv: list[str] | None = None) -> int:
    """Parse the command line; list, check or download."""
    parser = cli.ArgumentParser(
        "tools.models.weights",
        "List the weight files, check them against their published SHA-256, or download them.\n"
        "An interrupted download is resumed. VIDSIEVE_MIRROR=URL downloads files from URL/<name>.",
        """
        python -m tools.models.weights
        python -m tools.models.weights download clip-vit-l-14 aesthetic
        python -m tools.models.weights check clip-vit-l-14 aesthetic
        """,
    )
    parser.add_argument("action", nargs="?", default="list", choices=("list", "download", "check"))
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join((*WEIGHTS, *HUB_MODELS))}"
    )
    parser.add_argument("--all", action="store_true", help="download every file")
    parser.add_argument("--dir", help="where downloads go ($VIDSIEVE_WEIGHTS, else pretrained_models)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_intermixed_args(argv)
    models = [HUB_MODELS[name] for name in args.names if name in HUB_MODELS]
    files = [weight_file(name) for name in args.names if name not in HUB_MODELS]
    if args.action == "download" and not args.names and not args.all:
        parser.error("download what? Name the files, or say --all")
    if not args.names:
        files = list(WEIGHTS.values())
    if not args.names and args.action == "list":
        models = list(HUB_MODELS.values())
    if args.action == "download":
        paths = [download_weights(file.key, args.dir, progress=not args.quiet) for file in files]
        print(*paths, *(fetch_model(model) for model in models), sep="\n")
        return 0
    return (_check if args.action == "check" else _list)(files, models)


if __name__ == "__main__":
    cli.run(main)
