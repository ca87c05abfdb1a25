"""Captions of vision-language models against transformers' own generate; weights are random."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.caption import tiny_models
from tools.caption.llava.captioner import Caption, Captioner
from tools.caption.llava.checkpoint import find_checkpoint
from tools.caption.llava.greedy import CloseChoices, PenaltyWithoutPadding
from tools.caption.llava.parallel import GroupSizes, find_layout
from tools.caption.llava.processor import Question
from tools.caption.llava.stage import LlavaStage, scale_down
from tools.caption.prompts import resolve_prompt
from tools.errors import MediaError, UserError
from tools.stage.shards import current_shard

MAX_TOKENS = 16


@pytest.fixture(scope="module")
def folders(data_dir, tmp_path_factory):
    made = tiny_models.save_all(tmp_path_factory.mktemp("models"), ("llava_next", "qwen2_vl"))
    return {"llava": data_dir / "llava_tiny", **made}


@pytest.fixture(scope="module")
def captioners(folders):
    return {
        name: Captioner(str(folder), device="cpu", max_tokens=MAX_TOKENS) for name, folder in folders.items()
    }


@pytest.fixture(scope="module")
def questions():
    """Sixteen rows: one to three pictures of many sizes, and questions of many lengths."""
    random = np.random.default_rng(0)

    def picture():
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
        return np.asarray(coarse.resize([int(n) for n in random.integers(40, 200, 2)]))

    return [
        Question(tuple(picture() for _ in range(1 + i % 3)), "What is it?" + " And why?" * (i % 5))
        for i in range(16)
    ]


ARCHITECTURES = ("llava", "llava_next", "qwen2_vl")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_row_is_captioned_the_same_alone_and_among_sixteen(captioners, questions, name):
    captioner = captioners[name]
    together = captioner.caption(questions)
    alone = [captioner.caption([question])[0] for question in questions]
    assert together == alone
    assert together[::-1] == captioner.caption(questions[::-1])
    assert len({caption.text for caption in alone}) > 10  # what is seen and asked decides
    assert len({caption.prompt_tokens for caption in alone}) > 10  # so there was padding
    if name != "llava":  # its random weights never end a text
        assert len({caption.tokens for caption in alone}) > 5
        assert {caption.finish for caption in alone if caption.tokens < MAX_TOKENS} == {"stop"}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_captions_on_a_gpu(folders, captioners, questions, name):
    gpu = Captioner(str(folders[name]), device="cuda", precision="fp32", max_tokens=MAX_TOKENS)
    together = gpu.caption(questions)
    assert together == [gpu.caption([question])[0] for question in questions]
    assert together == captioners[name].caption(questions)


@pytest.mark.parametrize("name", ["llava_onevision", "qwen2_5_vl", "qwen3_vl"])
def test_more_architectures_load_and_do_not_depend_on_the_batch(questions, tmp_path, name):
    captioner = Captioner(str(getattr(tiny_models, name)(tmp_path)), device="cpu", max_tokens=8)
    few = questions[:6]
    together = captioner.caption(few)
    assert together == [captioner.caption([question])[0] for question in few]
    assert len({caption.text for caption in together}) > 3
    assert len({caption.prompt_tokens for caption in together}) > 3


def generate(folder, inputs):
    """Caption by transformers alone."""
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    text = transformers.AutoTokenizer.from_pretrained(folder).decode(new, skip_special_tokens=True)
    return text.replace("\r", " ").replace("\n", " ").strip()


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_captions_are_those_of_generate_on_a_prompt_written_by_hand(folders, captioners, questions, name):
    question = questions[2]
    processor = transformers.AutoProcessor.from_pretrained(folders[name])
    shown = "<image>\n" * 3
    asked = {
        "llava": f"USER: {shown}{question.text} ASSISTANT:",  # model card of LLaVA 1.5
        "llava_next": f"<|im_start|>user\n{shown}{question.text}<|im_end|>\n<|im_start|>assistant\n",
    }[name]
    pictures = [Image.fromarray(frame) for frame in question.frames]
    inputs = processor(text=asked, images=pictures, return_tensors="pt")
    assert captioners[name].caption([question])[0].text == generate(folders[name], inputs)


def test_captions_of_qwen_are_those_of_generate_on_tokens_made_by_hand(folders, captioners, questions):
    """A processor of Qwen cannot be had without torchvision: its parts can."""
    folder, question = folders["qwen2_vl"], questions[2]
    images = transformers.Qwen2VLImageProcessorPil.from_pretrained(folder)
    pixels = images([Image.fromarray(frame) for frame in question.frames], return_tensors="pt")
    pictures = "".join(
        "<|vision_start|>" + "<|image_pad|>" * (int(grid.prod()) // 4) + "<|vision_end|>"
        for grid in pixels["image_grid_thw"]
    )
    asked = f"<|im_start|>user\n{pictures}{question.text}<|im_end|>\n<|im_start|>assistant\n"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = dict(tokenizer(asked, return_tensors="pt"))
    picture = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == picture).long()
    expected = generate(folder, {**inputs, **pixels})
    assert captioners["qwen2_vl"].caption([question])[0].text == expected


def test_a_penalty_for_repetition_does_not_see_padding(folders, questions, tmp_path):
    """The penalty of the padding token, which is a word of this model, must not depend on neighbours."""
    folder = tmp_path / "penalty"
    shutil.copytree(folders["llava_next"], folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"repetition_penalty": 1.7, "do_sample": True, "temperature": 0.01}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    captioner = Captioner(str(folder), device="cpu", max_tokens=MAX_TOKENS)
    together = captioner.caption(questions)
    assert together == [captioner.caption([question])[0] for question in questions]
    inputs = captioner.encoder.encode(questions[4:5])
    assert together[4].text == generate(folder, inputs)


def test_the_penalty_is_that_of_transformers_where_nothing_is_padded():
    torch.manual_seed(0)
    tokens, scores = torch.randint(0, 50, (3, 20)), torch.randn(3, 50)
    expected = transformers.RepetitionPenaltyLogitsProcessor(1.3)(tokens, scores.clone())
    mask = torch.ones(3, 12)
    assert torch.equal(PenaltyWithoutPadding(1.3, mask)(tokens, scores), expected)
    padded = torch.cat([torch.full((3, 5), 49), tokens], dim=1)
    mask = torch.cat([torch.zeros(3, 5), mask], dim=1)
    assert torch.equal(PenaltyWithoutPadding(1.3, mask)(padded, scores), expected)


def test_near_ties_are_noticed_until_a_row_has_ended():
    watch = CloseChoices(0.01, [7], prompt_length=2)
    prompt = torch.zeros(4, 2, dtype=torch.long)
    clear, near = [10.0, 1.0, 0.0], [10.0, 9.95, -float("inf")]
    watch(prompt, torch.tensor([clear, near, clear, clear]))
    after = torch.cat([prompt, torch.tensor([[0], [0], [7], [1]])], dim=1)
    watch(after, torch.tensor([clear, clear, near, [10.0, 9.8, 0.0]]))
    assert watch.close_rows() == [1]  # the third had ended, the fourth is two hundredths ahead


def test_rows_near_a_tie_are_generated_alone(folders, questions):
    """In bf16, with a margin that every row is within, captions are those that each row has alone."""
    captioner = Captioner(
        str(folders["llava_next"]), device="cpu", precision="bf16", max_tokens=8, tie_margin=1.0
    )
    assert captioner.caption(questions[:4]) == [captioner.caption([q])[0] for q in questions[:4]]


def test_captions_end_or_are_cut_off(folders, captioners, questions):
    full = captioners["llava_next"].caption(questions)
    short = Captioner(str(folders["llava_next"]), device="cpu", max_tokens=4).caption(questions)
    assert {caption.finish for caption in short} == {"stop", "length"}
    for whole, cut in zip(full, short, strict=True):
        assert cut == whole or (cut.finish, cut.tokens) == ("length", 4)
        assert cut.finish == ("stop" if whole.tokens <= 4 else "length")


def test_prompts_that_cannot_be_used_fail_only_their_row(captioners, questions):
    captioner = captioners["llava_next"]
    long = Question(questions[0].frames, "why " * 600)
    forged = Question(questions[1].frames, "What does <image> mean?")
    found = captioner.caption([long, questions[2], forged, questions[3]])
    assert [type(item) for item in found] == [MediaError, Caption, MediaError, Caption]
    assert "context 2048" in found[0].message and "<image>" in found[2].message
    assert found[1::2] == captioner.caption(questions[2:4])


def test_an_overflow_is_no_caption(folders, questions, tmp_path):
    folder = copy_of(folders["llava_next"], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    head = next(name for name in weights if "lm_head" in name)
    weights[head] = weights[head] * 1e5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    found = Captioner(str(folder), device="cpu", precision="fp16", max_tokens=4).caption(questions[:2])
    assert [item.message for item in found] == [
        "the model's scores overflow in fp16; try --precision bf16 or fp32"
    ] * 2
    whole = Captioner(str(folder), device="cpu", precision="fp32", max_tokens=4).caption(questions[:2])
    assert all(isinstance(item, Caption) for item in whole)


def copy_of(folder, to):
    shutil.copytree(folder, to)
    return to


def test_a_model_without_template_says_what_to_do(folders, tmp_path):
    folder = copy_of(folders["qwen2_vl"], tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"no chat template.*qwen2_vl.*--chat-template FILE"):
        find_checkpoint(folder)
    template = tmp_path / "own.jinja"
    template.write_text("{{ messages[0].role }}")
    own = find_checkpoint(folder, template)
    assert own.chat_template == "{{ messages[0].role }}" and not own.template_is_assumed
    assert find_checkpoint(folders["llava"]).template_is_assumed
    assert not find_checkpoint(folders["qwen2_vl"]).template_is_assumed


def test_models_that_cannot_be_loaded_say_why(folders, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find_checkpoint(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no config\.json"):
        find_checkpoint(tmp_path / "empty")
    own_layout = copy_of(folders["llava_next"], tmp_path / "own_layout")
    (own_layout / "config.json").write_text(
        json.dumps({"model_type": "llava_mistral", "mm_vision_tower": "openai/clip-vit-large-patch14-336"})
    )
    with pytest.raises(UserError, match=r"LLaVA's own code.*llava-hf/llava-v1.6-mistral-7b-hf"):
        find_checkpoint(own_layout)
    without = copy_of(folders["llava_next"], tmp_path / "without")
    (without / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        find_checkpoint(without)
    text_only = copy_of(folders["llava_next"], tmp_path / "text_only")
    (text_only / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="transformers cannot"):
        Captioner(str(text_only), device="cpu")


def test_weights_that_are_missing_are_never_random(folders, tmp_path):
    folder = copy_of(folders["llava_next"], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "mlp" in name)
    save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing.*mlp"):
        Captioner(str(folder), device="cpu")


def test_the_digest_follows_what_decides_captions(folders, tmp_path):
    folder = copy_of(folders["qwen2_vl"], tmp_path / "model")
    digests = [find_checkpoint(folder).digest]
    assert digests == [find_checkpoint(folders["qwen2_vl"]).digest]
    (folder / "README.md").write_text("words")
    assert digests == [find_checkpoint(folder).digest]
    for name in ("chat_template.jinja", "tokenizer.json", "preprocessor_config.json"):
        (folder / name).write_text((folder / name).read_text() + " ")
        digests.append(find_checkpoint(folder).digest)
    assert len(set(digests)) == 4


def test_frames_are_scaled_down_to_the_shorter_side_and_never_up():
    frame = np.zeros((720, 1281, 3), np.uint8)
    assert scale_down(frame, 336).shape == (336, 598, 3)
    assert scale_down(frame, 0) is frame
    thin = np.zeros((100, 2000, 3), np.uint8)
    assert scale_down(thin, 336) is thin


def test_the_stage_uses_its_prompt(folders):
    model = str(folders["llava"])
    plain = LlavaStage(prompt=resolve_prompt("video"), model_path=model, device="cpu")
    with_text = LlavaStage(prompt=resolve_prompt("video-text"), model_path=model, device="cpu")
    assert plain.required_columns == ("path",) and with_text.required_columns == ("path", "text")
    assert plain.config() != with_text.config()
    row = {"path": "a.mp4", "text": "a cat"}
    assert "a cat" in with_text.prepare(row, []).text and "a cat" not in plain.prepare(row, []).text
    assert plain.prepare({"path": "a.jpg"}, []).text == resolve_prompt("image").fill()
    with pytest.raises(UserError, match="needs a GPU"):
        LlavaStage(
            prompt=resolve_prompt("video"), model_path=model, device="cpu", attention="flash_attention_2"
        )


@pytest.mark.parametrize(
    ("said", "finish", "text"),
    [
        ("A cat runs.", "stop", "A cat runs."),
        ("hm </think> A cat runs.", "stop", "A cat runs."),
        ("<think>hm</think><answer>A cat runs.</answer>", "stop", "A cat runs."),
        ("<think> A cat", "length", None),
        ("hm </think>", "stop", None),
        ("", "stop", ""),
    ],
)
def test_reasoning_is_no_caption(folders, said, finish, text):
    """What a thinking model writes; the tiny ones write what chance makes them."""

    class Writes:
        context = None

        def caption(self, questions):
            return [Caption(said, finish, 5, 5)]

    stage = LlavaStage(prompt=resolve_prompt("video"), model_path=str(folders["llava"]), device="cpu")
    stage._captioner = Writes()
    (found,) = stage.score([Question((), "")])
    if text is None:
        assert isinstance(found, MediaError) and found.kind == "no_answer"
    else:
        assert (found["text"], found["text_finish"]) == (text, finish)


def test_groups_and_rows_go_together(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("VIDSIEVE_RANKS_PER_SHARD", "1")
    places = set()
    for rank in range(8):
        monkeypatch.setenv("RANK", str(rank))
        layout = find_layout(GroupSizes(4, 2))
        shard = current_shard()
        assert (shard.rank, shard.world) == (layout.dp_rank, 4)
        places.add((layout.dp_rank, layout.tp_rank))
    assert len(places) == 8
    with pytest.raises(UserError, match="work for 4 processes, there are 8"):
        find_layout(GroupSizes(4, 1))
    with pytest.raises(UserError, match="there are 8"):
        find_layout(GroupSizes(None, 3))
