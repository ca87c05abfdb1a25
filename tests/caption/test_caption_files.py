"""``vidsieve.caption``: the captions of the commands, of a server and of a model on this machine."""

import polars as pl
import pytest
from PIL import Image

import vidsieve
from tests.caption.chat_server import KEY, ChatServer, answer
from tests.caption.test_caption_api import number_of
from tests.support import barcode_picture
from tools.caption import caption_api, caption_llava

QUIET = ["--num-workers", "0", "--quiet"]
HERE = vidsieve.RunOptions(num_workers=0)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two pictures that say which they are, and a file that is none."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for number in (3, 8):
        Image.fromarray(barcode_picture(number, 96, 64)).save(tmp_path / f"{number}.png")
    (tmp_path / "x.png").write_text("no picture")
    return [str(tmp_path / name) for name in ("3.png", "x.png", "8.png")]


def describe(request, number):
    return answer(f"Picture number {number_of(request)}.")


def written(path):
    table = vidsieve.read_table(path)
    return table["text"].to_list(), table["text_finish"].to_list()


def test_captions_of_a_server_are_those_of_the_command(files, tmp_path, capfd):
    meta = vidsieve.write_table(pl.DataFrame({"path": files}), tmp_path / "meta.csv")
    with ChatServer(describe, key=KEY) as server:
        flags = ["--model", "m", "--base-url", server.url, "--prompt", "Which one?", *QUIET]
        assert caption_api.main([str(meta), *flags]) == 0
        asked = server.requests[:]
        server.requests.clear()
        capfd.readouterr()
        found = vidsieve.caption(files, "m", base_url=server.url, prompt="Which one?", run=HERE)
        assert capfd.readouterr() == ("", "")
        key = lambda request: number_of(request)  # noqa: E731
        assert sorted(server.requests, key=key) == sorted(asked, key=key) and len(asked) == 2
        other = vidsieve.caption(files[0], "m", base_url=server.url, max_tokens=7, temperature=0.5, run=HERE)
        assert (server.requests[-1]["max_tokens"], server.requests[-1]["temperature"]) == (7, 0.5)
    assert found["text"].to_list() == ["Picture number 3.", None, "Picture number 8."]
    assert (found["text"].to_list(), found["text_finish"].to_list()) == written(tmp_path / "meta_caption.csv")
    assert [reason and reason.partition(":")[0] for reason in found["error"]] == [None, "unreadable", None]
    assert other["text"].to_list() == ["Picture number 3."]


def test_captions_of_a_model_here_are_those_of_the_command(files, tmp_path, data_dir):
    model = str(data_dir / "llava_tiny")
    meta = vidsieve.write_table(pl.DataFrame({"path": files}), tmp_path / "meta.csv")
    flags = ["--model-path", model, "--max-tokens", "6", "--device", "cpu", *QUIET]
    assert caption_llava.main([str(meta), *flags]) == 0
    found = vidsieve.caption(pl.DataFrame({"path": files}), model, max_tokens=6, device="cpu", run=HERE)
    assert (found["text"].to_list(), found["text_finish"].to_list()) == written(tmp_path / "meta_caption.csv")
    assert found["text_finish"].to_list()[1] is None and found["text"][0]
