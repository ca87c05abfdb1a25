"""Vision-language checkpoints of random weights, a few hundred kilobytes each, in the layout of the hub.

The weights are large, so that what is written depends on the picture; and a quarter of all bytes ends a text,
so that captions end at different lengths.
"""

import json

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}PICTURE{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "</s>", "<|im_start|>", "<|im_end|>", "<image>"]
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
QWEN_VISION = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 64}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "projection_dim": 16,
}


def tokenizer(extra=()):
    """One token for each byte, and the special ones before them."""
    special = [*SPECIAL, *extra]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>")


def save(folder, model, tokens, image_processor, processor_class, picture, **settings):
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.normal_(std=0.35)
            elif "norm" not in name:
                weights.normal_(std=0.1)
    model.generation_config.eos_token_id = [1, *range(5, len(tokens), 4)]
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(CHATML.replace("PICTURE", picture))
    image_processor.save_pretrained(folder)
    written = json.loads((folder / "preprocessor_config.json").read_text())
    written["image_processor_type"] = written["image_processor_type"].removesuffix("Pil")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**written, "processor_class": processor_class})
    )
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": processor_class, **settings})
    )
    return folder


def llava_next(folder):
    tokens = tokenizer()
    pinpoints = [[28, 56], [56, 28], [56, 56]]
    config = transformers.LlavaNextConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config=CLIP,
        image_grid_pinpoints=pinpoints,
        image_token_index=SPECIAL.index("<image>"),
        tie_word_embeddings=False,
    )
    images = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    return save(
        folder,
        transformers.LlavaNextForConditionalGeneration(config),
        tokens,
        images,
        "LlavaNextProcessor",
        "<image>\n",
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def llava_onevision(folder):
    tokens = tokenizer(["<video>"])
    pinpoints = [[28, 56], [56, 28], [56, 56]]
    siglip = {k: v for k, v in CLIP.items() if k != "projection_dim"} | {"model_type": "siglip_vision_model"}
    layout = {"vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9"}
    config = transformers.LlavaOnevisionConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokens)},
        vision_config=siglip,
        image_grid_pinpoints=pinpoints,
        image_token_id=SPECIAL.index("<image>"),
        video_token_id=tokens.convert_tokens_to_ids("<video>"),
        tie_word_embeddings=False,
        vision_feature_layer=-1,
        **layout,
    )
    images = transformers.LlavaOnevisionImageProcessorPil(
        size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    model = transformers.LlavaOnevisionForConditionalGeneration(config)
    return save(
        folder, model, tokens, images, "LlavaOnevisionProcessor", "<image>\n", num_image_tokens=4, **layout
    )


def qwen2_vl(folder):
    return _qwen(folder, "Qwen2VL", {"embed_dim": 32, "hidden_size": 64})


def qwen2_5_vl(folder):
    vision = {"fullatt_block_indexes": [1], "window_size": 56}
    return _qwen(folder, "Qwen2_5_VL", {**QWEN_VISION, **vision})


def qwen3_vl(folder):
    vision = {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    return _qwen(folder, "Qwen3VL", {**QWEN_VISION, **vision}, mrope_interleaved=True)


def _qwen(folder, name, vision, **rope):
    tokens = tokenizer(QWEN)
    ids = dict(zip(QWEN, tokens.convert_tokens_to_ids(QWEN), strict=True))
    rope |= {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    config = getattr(transformers, f"{name}Config")(
        text_config={
            **TEXT,
            "head_dim": 16,
            "vocab_size": len(tokens),
            "pad_token_id": 0,
            "rope_parameters": rope,
        },
        vision_config={"depth": 2, "num_heads": 2, "patch_size": 14, **vision},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    images = transformers.Qwen2VLImageProcessorPil(
        size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16}
    )
    model = getattr(transformers, f"{name}ForConditionalGeneration")(config)
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    return save(folder, model, tokens, images, f"{name}Processor", picture)


def save_all(root, names):
    """Folders below a root with the models of these names, which functions here make."""
    made = {name: root / name for name in names}
    for name, folder in made.items():
        folder.mkdir()
        globals()[name](folder)
    return made
