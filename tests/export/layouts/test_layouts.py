"""Configurations, by the trainers' documents, and what layouts refuse or warn of."""

import ast
import io
import json
import shlex

import pandas as pd
import pytest
import yaml

from tools.errors import UserError
from tools.export.items import Item
from tools.export.layouts.tables import _MISSING
from tools.export.presets import layout_of, preset

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def texts(name, *changes, settings=None, folder="/data", **options):
    """The files for clips that differ from a usual one by `changes`."""
    found = preset(name)
    layout = layout_of(found.trainer.name)
    setup = found.trainer.setup(found.model, **(settings or {}), options=options)
    return dict(layout.texts(items(layout, changes or ({},)), setup, folder))


def items(layout, changes):
    made = []
    for row, change in enumerate(changes):
        values = {"key": f"c{row}", "width": 832, "height": 480, "num_frames": 81, "fps": 16.0}
        values |= {"has_audio": False, "caption": "A dog.", "source_row": row, "source_path": "in.mp4"}
        values |= {"split": "", **change}
        made.append(Item(file=layout.media(values["key"], values["split"]), **values))
    return made


def warnings(name, *changes, **settings):
    found = preset(name)
    layout = layout_of(found.trainer.name)
    return layout.warnings(items(layout, changes), found.trainer.setup(found.model, **settings))


def test_diffusion_pipe():
    changes = [{}, {}, {"num_frames": 33}, {"width": 480, "height": 832}]
    files = texts("wan2.1@diffusion-pipe", *changes, settings={"frames": (17, 33, 81)})
    config = tomllib.loads(files["dataset.toml"])
    assert config == {
        "resolutions": [[832, 480]],
        "enable_ar_bucket": True,
        "min_ar": 0.5,
        "max_ar": 2.0,
        "num_ar_buckets": 7,
        "frame_buckets": [1, 33, 81],  # nothing is of 17 to 32 frames
        "skip_empty_caption": True,
        "directory": [{"path": "/data/clips", "num_repeats": 1}],
    }
    comments = [line for line in files["dataset.toml"].splitlines() if line.startswith("#")]
    assert [line.rsplit(": ", 1)[1] for line in comments[1:]] == ["2 clips", "1 clip", "1 clip"]
    assert files["clips/c0.txt"] == "A dog."


def test_diffusion_pipe_with_size_buckets():
    config = tomllib.loads(texts("wan2.1@diffusion-pipe", size_buckets=[[832, 480, 81]])["dataset.toml"])
    assert config["size_buckets"] == [[832, 480, 81]]
    assert "frame_buckets" not in config
    assert "resolutions" not in config


def test_musubi_of_one_rate():
    config = tomllib.loads(texts("wan2.1@musubi", settings={"batch_size": 2})["dataset.toml"])
    assert config["general"] == {
        "resolution": [832, 480],
        "caption_extension": ".txt",
        "batch_size": 2,
        "enable_bucket": True,
        "bucket_no_upscale": False,
    }
    assert config["datasets"] == [
        {
            "video_directory": "/data/clips",
            "cache_directory": "/data/cache",
            "target_frames": [81],
            "frame_extraction": "head",
        }
    ]


def test_musubi_has_a_data_set_for_each_rate_above_the_models():
    changes = [{"fps": 30.0}, {"fps": 16.0}, {"fps": 16.1}, {"fps": 23.976}, {"fps": 8.0}, {"fps": 30.0}]
    files = texts("wan2.1@musubi", *changes)
    datasets = tomllib.loads(files["dataset.toml"])["datasets"]
    assert [dataset.get("source_fps") for dataset in datasets] == [None, 23.976, 30.0]
    keys = []
    for dataset in datasets:
        rows = files[dataset["video_jsonl_file"].removeprefix("/data/")].splitlines()
        keys.append([json.loads(row)["video_path"].removeprefix("/data/clips/") for row in rows])
    assert keys == [["c1.mp4", "c2.mp4", "c4.mp4"], ["c3.mp4"], ["c0.mp4", "c5.mp4"]]
    assert len({dataset["cache_directory"] for dataset in datasets}) == 3


def test_musubi_of_one_rate_above_the_models():
    (dataset,) = tomllib.loads(texts("wan2.1@musubi", {"fps": 25.0})["dataset.toml"])["datasets"]
    assert (dataset["video_directory"], dataset["source_fps"]) == ("/data/clips", 25.0)


def test_musubi_with_full_extraction():
    text = texts("framepack@musubi", frame_extraction="full", max_frames=109)["dataset.toml"]
    (dataset,) = tomllib.loads(text)["datasets"]
    assert (dataset["frame_extraction"], dataset["max_frames"]) == ("full", 109)
    assert "target_frames" not in dataset


def test_ai_toolkit():
    files = texts("ltx-2@ai-toolkit", {"has_audio": True, "num_frames": 121}, settings={"batch_size": 2})
    config = yaml.safe_load(files["dataset.yaml"])
    assert config["train"] == {"batch_size": 2, "gradient_accumulation": 1}
    (dataset,) = config["datasets"]
    assert dataset["resolution"] == [586]  # the root of 768 x 448, rounded down
    assert (dataset["num_frames"], dataset["do_audio"]) == (121, True)
    assert dataset["shrink_video_to_frames"] is True


def test_simpletuner():
    settings = {"frames": (49,), "batch_size": 3}
    files = texts("wan2.1@simpletuner", settings=settings, repeats=2)
    clips, captions = json.loads(files["multidatabackend.json"])
    assert clips["video"] == {"num_frames": 49, "min_frames": 49, "bucket_strategy": "aspect_ratio"}
    assert (clips["resolution"], clips["resolution_type"]) == (0.4, "area")  # 832 x 480 in megapixels
    assert (clips["repeats"], clips["train_batch_size"]) == (2, 3)
    assert clips["instance_data_dir"] == "/data/clips"
    assert "audio" not in clips
    assert captions["dataset_type"] == "text_embeds"


@pytest.mark.parametrize(("heard", "expected"), [((True, True), False), ((True, False), True)])
def test_simpletuner_asks_for_silence_where_a_clip_has_no_sound(heard, expected):
    changes = [{"has_audio": sound, "num_frames": 121} for sound in heard]
    clips, _ = json.loads(texts("ltx-2@simpletuner", *changes)["multidatabackend.json"])
    assert clips["audio"] == {"auto_split": True, "allow_zero_audio": expected}


def test_finetrainers_has_frames_height_width():
    settings = {"sizes": ((832, 480), (480, 832)), "frames": (81,)}
    config = json.loads(texts("wan2.1@finetrainers", settings=settings)["training.json"])
    assert config["datasets"][0]["video_resolution_buckets"] == [[81, 480, 832]]
    assert config["datasets"][0]["data_root"] == "/data/clips"


def test_the_ltx_trainer_has_width_height_frames():
    settings = {"sizes": ((768, 448), (448, 768)), "frames": (49, 121)}
    changes = [
        {"width": 768, "height": 448, "num_frames": 121},
        {"width": 448, "height": 768, "num_frames": 50},
    ]
    flags = texts("ltx-2@ltx-trainer", *changes, settings=settings)["flags.txt"]
    assert shlex.split(flags) == [
        "/data/metadata.json",
        "--resolution-buckets",
        "768x448x121;448x768x49",
        "--skip-audio",
    ]


def test_diffsynth_reads_the_sound_of_the_video():
    files = texts("ltx-2@diffsynth", {"has_audio": True, "num_frames": 121})
    row = {"video": "clips/c0.mp4", "prompt": "A dog.", "input_audio": "clips/c0.mp4"}
    assert json.loads(files["metadata.json"]) == [row]
    flags = shlex.split(files["flags.txt"])
    assert flags[flags.index("--data_file_keys") + 1] == "video,input_audio"
    assert flags[flags.index("--extra_inputs") + 1] == "input_audio"
    assert flags[flags.index("--num_frames") + 1] == "121"


def test_diffsynth_without_sound():
    flags = shlex.split(texts("wan2.1@diffsynth", {"has_audio": True})["flags.txt"])
    assert "--extra_inputs" not in flags
    assert flags[flags.index("--height") :][:4] == ["--height", "480", "--width", "832"]


def test_videox_fun():
    files = texts("wan2.1@videox-fun", {"num_frames": 162, "fps": 32.0})
    flags = shlex.split(files["flags.txt"])
    assert flags[flags.index("--video_sample_stride") + 1] == "2"
    assert flags[flags.index("--video_sample_size") + 1] == "631"
    flags = shlex.split(texts("wan2.1@videox-fun", fix_sample_size=(480, 832))["flags.txt"])
    assert flags[flags.index("--fix_sample_size") :][:3] == ["--fix_sample_size", "480", "832"]


def test_fastvideo():
    rows = json.loads(texts("wan2.1@fastvideo")["videos2caption.json"])
    assert rows == [
        {
            "path": "c0.mp4",
            "cap": "A dog.",
            "fps": 16.0,
            "num_frames": 81,
            "duration": 81 / 16,
            "resolution": {"width": 832, "height": 480},
        }
    ]


def test_cosmos_has_height_before_width():
    files = texts("cosmos-predict2.5@cosmos", {"num_frames": 94, "split": "train"})
    assert files["train/metas/c0.txt"] == "A dog."
    tree = ast.parse(files["train/config.py"])
    calls = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    values = {word.arg: ast.literal_eval(word.value) for word in calls["dataset"].keywords}
    assert values == {"dataset_dir": "/data/train", "num_frames": 93, "video_size": (704, 1280)}


def test_open_sora_has_the_buckets_that_are_filled():
    changes = [{"num_frames": 17}, {"num_frames": 36, "caption": "None"}]
    files = texts("open-sora-2@open-sora", *changes, settings={"batch_size": 4})
    scope = {}
    exec(files["config.py"], scope)
    assert scope["bucket_config"] == {"_delete_": True, "256px": {17: (1.0, 4), 33: (1.0, 4)}}
    assert (
        files["metadata.csv"].splitlines()[0]
        == "path,text,num_frames,height,width,aspect_ratio,resolution,fps"
    )


def test_captions_that_pandas_takes_for_missing_stay_texts():
    captions = [*sorted(_MISSING), "A dog.", "nil"]
    files = texts("open-sora-2@open-sora", *({"caption": caption} for caption in captions))
    read = pd.read_csv(io.StringIO(files["metadata.csv"]))["text"]
    assert read.map(str.strip).tolist() == captions
    plain = pd.read_csv(io.StringIO("text,n\n" + "".join(f'"{caption}",1\n' for caption in captions)))["text"]
    assert plain.isna().tolist() == [True] * len(_MISSING) + [False, False]  # why the space is there


@pytest.mark.parametrize("captions", [["007", "-1.5", "1e5"], ["5", "inf"], ["True", "FALSE"], ["12"]])
def test_captions_that_are_numbers_all_of_them_stay_texts(captions):
    files = texts("open-sora-2@open-sora", *({"caption": caption} for caption in captions))
    read = pd.read_csv(io.StringIO(files["metadata.csv"]))["text"]
    assert read.map(str.strip).tolist() == captions
    plain = pd.read_csv(io.StringIO("text,n\n" + "".join(f'"{caption}",1\n' for caption in captions)))["text"]
    assert plain.dtype.kind in "bif"  # why the space is there


def test_cogvideo():
    files = texts("cogvideox@cogvideo", {"num_frames": 49}, {"num_frames": 49, "caption": "A cat."})
    assert files["prompts.txt"] == "A dog.\nA cat.\n"
    assert files["videos.txt"] == "videos/c0.mp4\nvideos/c1.mp4\n"
    flags = shlex.split(files["flags.txt"])
    assert flags[flags.index("--train_resolution") + 1] == "49x480x720"


def test_mochi():
    flags = shlex.split(texts("mochi-1@mochi", {"num_frames": 87})["flags.txt"])
    assert flags == ["--videos_dir", "/data/clips", "--num_frames", "85"]


def test_the_video_folder_says_what_a_clip_was_made_of():
    (line,) = texts("videofolder", {"split": "train"})["train/metadata.jsonl"].splitlines()
    row = json.loads(line)
    assert (row["file_name"], row["source_path"], row["source_row"]) == ("c0.mp4", "in.mp4", 0)


@pytest.mark.parametrize("name", ["wan2.1@diffusion-pipe", "wan2.1@simpletuner"])
def test_splits_have_their_own_configuration(name):
    files = texts(name, {"split": "train"}, {"split": "val"}, {"split": "train"})
    assert {"train/clips/c0.txt", "val/clips/c1.txt", "train/clips/c2.txt"} <= set(files)
    configurations = [path for path in files if not path.endswith(".txt")]
    assert sorted(path.split("/")[0] for path in configurations) == ["train", "val"]
    assert '"/data/train/clips"' in files[configurations[0]]


def test_paths_hold_in_the_folder_itself_where_none_is_said():
    config = tomllib.loads(texts("wan2.1@diffusion-pipe", folder=".")["dataset.toml"])
    assert config["directory"][0]["path"] == "clips"
    assert shlex.split(texts("wan2.1@videox-fun", folder=".")["flags.txt"])[:2] == ["--train_data_dir", "."]


def test_no_files_without_clips():
    layout = layout_of("musubi")
    found = preset("wan2.1@musubi")
    assert list(layout.texts([], found.trainer.setup(found.model))) == []


@pytest.mark.parametrize("caption", ["A dog.\nIt runs.", "A dog.\n", "A\u2028b"])
def test_a_caption_of_several_lines_is_refused(caption):
    with pytest.raises(ValueError, match="several lines"):
        texts("wan2.1@musubi", {"caption": caption})


def test_two_files_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two files"):
        texts("wan2.1@musubi", {"key": "a"}, {"key": "a"})


def test_a_small_bucket_is_named():
    (found,) = warnings("wan2.1@diffusion-pipe", {}, {}, {}, batch_size=2, gpus=2)
    assert "3 examples in batches of 4: 3 of 3 left out" in found
    (found,) = warnings("wan2.1@simpletuner", {}, batch_size=2)
    assert "ends training" in found
    assert warnings("wan2.1@diffusion-pipe", {}, {}, {}, {}, batch_size=2, gpus=2) == []


def test_a_clip_that_the_trainer_would_lose_is_named():
    (found,) = warnings("wan2.1@musubi", {}, {"num_frames": 5, "split": "val"})
    assert found == "val: 1 clip lost (too short), such as c1.mp4"


def test_a_trainer_that_there_is_not():
    with pytest.raises(UserError, match="no trainer 'x'; there are diffusion-pipe"):
        layout_of("x")
