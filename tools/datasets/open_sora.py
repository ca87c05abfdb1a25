"""Flags of Open-Sora's datautil that are refused, with what to type instead.

Names of version 1.3 for operations that are here under those of 1.2 are accepted; they stand at the
operations, as `Operation.aliases`. Here are the others: what has no equal here, and what its README names
although the command had dropped it.
"""

from __future__ import annotations

REFUSED: dict[str, str] = {
    # In the README of 1.0 to 1.3 only.
    "--sort-descending": "use --sort COLUMN, largest first",
    "--unescape": "use --clean-caption, which also resolves HTML entities",
    "--remove-caption-prefix": "use --refine-llm-caption",
    "--relength": "use --info, which counts the frames",
    "--remove-corrupted": "use --ext, or --info --fmin 1 for files that cannot be read",
    # In the command of 1.3 only.
    "--path-filter-substr": """use --where "not path.contains('TEXT')\"""",
    "--text-filter-substr": """use --where "not text.contains('TEXT')\"""",
    "--filter-too-verbose": 'use --where "text_len <= 200", after --count-num-token',
    "--filter-human": """use --where "text.contains('woman') or text.contains(' man ')\"""",
    "--text-image2video": "use `python -m tools.caption.caption_api --existing-text`, which rewords captions",
    "--text-refine-sentences": "use `python -m tools.caption.caption_checks`, then --caption-ok",
    "--text-score2text": "use --score-to-text, which writes numbers where 1.3 wrote words",
    "--text-undo-score2text": "use --update-text TABLE with a table of the captions as they were",
    "--filter-dyn-fps": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--dyn-fps-max-fps": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--dyn-fps-keep-frames": 'use --where "num_frames >= 32 * -(-fps // 16)"',
    "--prefmin": 'use --where "pred_score >= X"',
    "--facemin": 'use --where "face_area_ratio >= X"',
    "--h-le-w": "use --aspectmax 1 (aspect_ratio is height / width)",
    "--pre-train-column": "use --select path text num_frames fps height width aspect_ratio resolution "
    "text_len aes flow",
}
"""Flag in its form with dashes to what to do instead."""
