"""A caption server of a process of its own, that counts what is paid for.

python -m tests.reliability.answers_server LOG: prints its address. Each answer costs, unless its request has
an Idempotency-Key that was answered before, and its run is one whose keys are known. Of each paid answer LOG
has a line: the first part of the path of the address, by which runs are told apart, and a digest of the
question.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from pathlib import Path

from tests.caption.chat_server import ChatServer, answer, prompt_of
from tests.reliability.payments import FORGETS


def main(log: Path) -> None:
    """Serve until standard input ends."""
    stored: dict[tuple[str, str], object] = {}
    lock = threading.Lock()

    def behave(request: dict, number: int) -> object:
        run = server.paths[number].strip("/").partition("/")[0]
        key = None if run.endswith(FORGETS) else server.headers[number].get("Idempotency-Key")
        question = hashlib.sha256(prompt_of(request).encode()).hexdigest()
        with lock:
            if key and (run, key) in stored:
                return stored[run, key]
            text = answer(json.dumps([question[:8], question[8:16]]))  # as `tag` wants it
            if key:
                stored[run, key] = text
            with log.open("a") as file:
                file.write(f"{run} {question}\n")
        time.sleep(0.02)
        return text

    with ChatServer(behave) as server:
        print(server.url.removesuffix("/v1"), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
