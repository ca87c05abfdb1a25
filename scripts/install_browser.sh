#!/usr/bin/env bash
# Chromium and its driver for the tests of the report's page. Does nothing where they are installed.
# Fails where they are not and cannot be: without Debian's or Ubuntu's packages, or without root.
set -euo pipefail
command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
    echo "no chromium and chromedriver: apt install chromium chromium-driver" >&2
    exit 1
}
echo "installing chromium (a minute or more)" >&2
timeout 600 apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
