"""Features of every token of a text against transformers' own text tower (random weights)."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPTextModelWithProjection

from tests.models.openai_clip import Shape, random_state, random_tokens, save_state
from tools.models.clip import CLIPEncoder, load_clip

SHAPE = Shape(embed_dim=96, vocab=500, context=20, text_width=128)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> CLIPEncoder:
    path = save_state(random_state(SHAPE), tmp_path_factory.mktemp("clip") / "clip.pt")
    return load_clip(path, device="cpu", precision="fp32", threads=2, backend="pytorch")


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.from_numpy(random_tokens(7, SHAPE))


def test_they_are_the_projected_states_of_the_text_tower(encoder, tokens, tmp_path):
    encoder._model.save_pretrained(tmp_path)
    tower = CLIPTextModelWithProjection.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = tower(input_ids=tokens).last_hidden_state @ tower.text_projection.weight.T
    features = encoder.encode_tokens(tokens)
    assert features.shape == (7, SHAPE.context, SHAPE.embed_dim)
    assert (features - expected).abs().max() < 1e-5


def test_the_end_token_has_the_feature_of_the_text(encoder, tokens):
    ends = encoder.encode_tokens(tokens)[torch.arange(7), tokens.argmax(dim=1)]
    assert (ends - encoder.encode_text(tokens)).abs().max() < 1e-5


def test_what_follows_the_end_token_changes_nothing_before_it(encoder, tokens):
    ends = tokens.argmax(dim=1)
    other = tokens.clone()
    for row, end in zip(other, ends, strict=True):
        row[end + 1 :] = 7
    assert not torch.equal(other, tokens)
    before, after = encoder.encode_tokens(tokens), encoder.encode_tokens(other)
    for own, changed, end in zip(before, after, ends, strict=True):
        assert torch.equal(own[: end + 1], changed[: end + 1])


def test_they_depend_on_their_own_text_alone(encoder, tokens):
    together = encoder.encode_tokens(tokens)
    assert torch.equal(torch.cat([encoder.encode_tokens(row[None]) for row in tokens]), together)
    assert torch.equal(encoder.encode_tokens(tokens.flip(0)).flip(0), together)


def test_no_text_has_no_features(encoder, tokens):
    assert encoder.encode_tokens(tokens[:0]).shape == (0, SHAPE.context, SHAPE.embed_dim)
    with pytest.raises(ValueError, match=r"\(N, 20\)"):
        encoder.encode_tokens(tokens[:, :5])


@pytest.mark.gpu
def test_tokens_on_a_gpu(encoder, tokens, tmp_path):
    gpu = load_clip(save_state(random_state(SHAPE), tmp_path / "clip.pt"), device="cuda", precision="fp32")
    together = gpu.encode_tokens(tokens)
    assert (together - encoder.encode_tokens(tokens)).abs().max() < 1e-4
    assert torch.equal(torch.cat([gpu.encode_tokens(row[None]) for row in tokens]), together)
