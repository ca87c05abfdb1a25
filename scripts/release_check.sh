#!/usr/bin/env bash
# Build the wheel of what is committed, and try it in a fresh environment, outside the checkout.
# Usage: scripts/release_check.sh
#   PYTHON=python3        the interpreter of the fresh environment
#   PACKAGES_OF=FOLDER    take what vidsieve needs from this environment (.venv) instead of installing it anew
# The wheel is left in dist/. The version must be that of CHANGELOG.md and of the tag on this commit, if it has one.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
fail() { echo "error: $*" >&2; exit 1; }

[ -z "$(git status --porcelain)" ] || echo "warning: the wheel is made of what is committed; there are changes that are not" >&2
mkdir "$work/source"
git archive HEAD | tar -x -C "$work/source"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$work/source/tools/__init__.py")
grep -q "^## $version" CHANGELOG.md || fail "CHANGELOG.md has no heading for version $version"
for tag in $(git tag --points-at HEAD --list 'v*'); do
    [ "$tag" = "v$version" ] || fail "this commit has the tag $tag, and the version $version"
done

echo "== the wheel of version $version"
"$python" -m venv "$work/environment"
pip() { "$work/environment/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip wheel --no-deps --wheel-dir "$work/wheel" "$work/source"
wheel=$work/wheel/vidsieve-$version-py3-none-any.whl
[ -f "$wheel" ] || fail "the wheel has another name: $(ls "$work/wheel")"
"$python" -m zipfile -l "$wheel" | awk 'NR > 1 {print $1}' > "$work/files"
if grep -vE '^(tools/|vidsieve/|vidsieve_command\.py$|vidsieve-[^/]*\.dist-info/)' "$work/files"; then
    fail "the wheel holds files that belong to nobody"
fi
grep -qx "vidsieve-$version.dist-info/licenses/LICENSE" "$work/files" || fail "the wheel has no licence"

echo "== installed into a fresh environment"
if [ -n "${PACKAGES_OF:-}" ]; then
    pip install --no-deps "$wheel"
    place=$("$work/environment/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    (cd "$PACKAGES_OF" && ls -d "$PWD"/lib/python3*/site-packages) > "$place/packages.pth"
else
    pip install -c constraints.txt "$wheel[report]"
fi

echo "== tried in a folder that has a package tools of its own"
mkdir -p "$work/elsewhere/tools/datasets" "$work/elsewhere/videos"
cd "$work/elsewhere"
echo 'raise SystemExit("this is the tools of another project")' | tee tools/__init__.py > tools/datasets/__init__.py
PATH=$work/environment/bin:$PATH
ffmpeg=$(python -I -c "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())")
"$ffmpeg" -v error -f lavfi -i "mandelbrot=s=320x240:r=25" -f lavfi -i "smptebars=s=320x240:r=25" \
    -filter_complex "[0]trim=end=2[a];[1]trim=end=2[b];[a][b]concat" -pix_fmt yuv420p videos/two_shots.mp4
[ "$(vidsieve --version)" = "vidsieve $version" ] || fail "vidsieve --version says $(vidsieve --version)"
vidsieve convert video videos --output meta.csv
vidsieve datautil meta.csv --info --fmin 1
vidsieve scene_detect meta_info_fmin1.csv --detector adaptive
vidsieve cut meta_info_fmin1_timestamp.csv --save_dir clips
vidsieve convert video clips --output meta_clips.csv
vidsieve datautil meta_clips.csv --info --fmin 1
vidsieve report meta_clips_info_fmin1.csv --output report.html  # its scripts are files in the wheel
clips=$(($(wc -l < meta_clips_info_fmin1.csv) - 1))
[ "$clips" = 2 ] || fail "the video has 2 shots, and $clips clips came out"

mkdir -p "$project/dist"
cp "$wheel" "$project/dist/"
echo "== good: dist/$(basename "$wheel")"
