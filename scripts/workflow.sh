#!/usr/bin/env bash
# The whole job: a folder of videos -> clips and a filtered table of them.
# Usage: scripts/workflow.sh VIDEO_DIR OUT_DIR
# Settings from the environment: DETECTOR (of shots, auto; adaptive has Open-Sora's cuts), GPUS (ranks of the
# aesthetic score, 1), AESMIN (5), KEEP (a condition on the scores that need no download, see docs/where.md).
# Run again it goes on where it stopped. When the videos have changed, what was made of them is replaced
# (--overwrite), and what is still right is kept.
set -euo pipefail
if [ $# -ne 2 ]; then
    echo "usage: $0 VIDEO_DIR OUT_DIR" >&2
    exit 2
fi
videos=$1 clips=$2/clips meta=$2/meta
gpus=${GPUS:-1} aesmin=${AESMIN:-5}
# Something moves, most frames are new ones, the picture fills the frame, and no other clip is the same.
keep=${KEEP:-"motion >= 0.005 and static_ratio <= 0.5 and black_bars <= 0.3 and dup_of.isna()"}

step() { printf '\n== %s\n' "$*" >&2; }

step "1 find the videos, probe them, drop the broken ones"
python -m tools.datasets.convert video "$videos" --output "$meta/meta.csv"
python -m tools.datasets.datautil "$meta/meta.csv" --info --fmin 1

step "2 find the shots, cut them into clips, probe the clips"
python -m tools.scene_cut.scene_detect "$meta/meta_info_fmin1.csv" --detector "${DETECTOR:-auto}" --overwrite
python -m tools.scene_cut.cut "$meta/meta_info_fmin1_timestamp.csv" --save_dir "$clips" --overwrite --prune
python -m tools.datasets.convert video "$clips" --output "$meta/meta_clips.csv"
python -m tools.datasets.datautil "$meta/meta_clips.csv" --info --fmin 1
table=$meta/meta_clips_info_fmin1.csv

step "3 score the clips with what needs no download, find copies, keep the good ones"
scores=flow,technical
if python -c "import onnxruntime, rapidocr" 2> /dev/null; then
    scores=flow,ocr,technical
else
    echo "left out: text in the picture; 'pip install vidsieve[ocr]' brings what it needs" >&2
fi
python -m tools.scoring "$table" --scores "$scores,dedup" --flow.method dis --overwrite
table=${table%.csv}_${scores//,/_}_fingerprint.csv
python -m tools.scoring.dedup.inference "$table" --overwrite
table=${table%.csv}_dedup.csv
scored=$table
python -m tools.datasets.datautil "$table" --where "$keep" --explain
table=${table%.csv}_where.csv

step "4 score their aesthetics, keep the beautiful ones"
if python -m tools.models.weights check clip-vit-l-14 aesthetic > /dev/null 2>&1; then
    if [ "$gpus" -gt 1 ]; then
        torchrun --standalone --nproc_per_node "$gpus" -m tools.scoring.aesthetic.inference "$table" --overwrite
        python -m tools.datasets.datautil "${table%.csv}"_aes_part*.csv --output "${table%.csv}_aes.csv"
    else
        python -m tools.scoring.aesthetic.inference "$table" --overwrite
    fi
    python -m tools.datasets.datautil "${table%.csv}_aes.csv" --aesmin "$aesmin"
    table=${table%.csv}_aes_aesmin$aesmin.csv
else
    echo "left out: the aesthetic score, its weights are not here;" \
        "'python -m tools.models.weights download clip-vit-l-14 aesthetic' fetches them" >&2
fi

step "5 a page to see what other thresholds would keep"
if python -c "import bokeh" 2> /dev/null; then
    python -m tools.report "$meta/meta_clips.csv" "$meta/meta_clips_info_fmin1.csv" "$scored" --output "$2/report.html"
    echo "open it in a browser: $2/report.html" >&2
else
    echo "left out: the page; 'pip install vidsieve[report]' brings what it needs" >&2
fi

step "done"
columns=$(head -1 "$table" | tr , "\n" | grep -x -e path -e num_frames -e motion -e ocr -e ocr_area -e sharpness \
    -e static_ratio -e black_bars -e aes | tr "\n" " ")
python -m tools.datasets.show "$table" --columns $columns
