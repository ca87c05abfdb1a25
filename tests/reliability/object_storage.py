"""Object storage for the crash test: a server of the S3 protocol on this machine, in a process of its own.

python -m tests.reliability.object_storage STOPS: prints its address, and ends with its standard input. STOPS
is a file like the environment variable of `tests.reliability.stops`: each request that writes is an operation
like those on files, and the server holds the one at which a process is to be killed, before it or before its
answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.reliability.stops import sitecustomize as stops

SOURCE, TARGET = "source", "target"
"""Buckets: with the inputs, which nothing may change, and for the outputs."""

_ROOT = Path(__file__).resolve().parents[2]
_HELD = 2.0  # seconds, in which the process is killed
_WRITING = ("PUT", "POST", "DELETE")


class ObjectStorage:
    """The server, and what is in it. Needs moto and boto3.

    Args:
        folder: Files that are in the bucket of inputs.
        state: A folder for what the server is told.

    Attributes:
        environment: Variables by which commands find it.
        stops: The file of the operation at which to hold.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self.stops = state / "stops.json"
        words = [sys.executable, "-m", "tests.reliability.object_storage", str(self.stops)]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(
            words, cwd=_ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        assert self._server.stdout is not None
        self.environment = {
            "AWS_ENDPOINT_URL": self._server.stdout.readline().strip(),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._client = import_module("boto3").client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        for bucket in (SOURCE, TARGET):
            self._client.create_bucket(Bucket=bucket)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            self._client.put_object(Bucket=SOURCE, Key=name, Body=path.read_bytes())
        self._source = self.objects(SOURCE)

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def empty(self) -> None:
        """Remove all outputs."""
        self.stops.unlink(missing_ok=True)
        for key in self.objects(TARGET):
            self._client.delete_object(Bucket=TARGET, Key=key)
        for key, upload in self._uploads(TARGET):
            self._client.abort_multipart_upload(Bucket=TARGET, Key=key, UploadId=upload)

    def objects(self, bucket: str = TARGET) -> dict[str, bytes]:
        """The objects in a bucket, by their keys."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {key: self._client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def faults(self) -> list[str]:
        """What else is wrong: uploads in parts that nobody has ended, inputs that have changed."""
        left = [key for bucket in (SOURCE, TARGET) for key, _ in self._uploads(bucket)]
        faults = [f"uploads are left that were not finished: {left}"] if left else []
        return [*faults, *["inputs have changed"] * (self.objects(SOURCE) != self._source)]

    def _uploads(self, bucket: str) -> list[tuple[str, str]]:
        found = self._client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return [(upload["Key"], upload["UploadId"]) for upload in found]


class _Held:
    """The server's application, which counts the requests that write."""

    def __init__(self, application: Callable[..., Iterable[bytes]], told: Path) -> None:
        self._application, self._told = application, told

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        hold = torn = False
        if environ["REQUEST_METHOD"] in _WRITING and self._told.exists():
            told = json.loads(self._told.read_text())
            hold, torn = self._count(environ, told), told["torn"]
        if hold and not torn:
            time.sleep(_HELD)
        answer = list(self._application(environ, start))
        if hold and torn:
            time.sleep(_HELD)
        return answer

    def _count(self, environ: dict[str, Any], told: dict[str, Any]) -> bool:
        query = environ["QUERY_STRING"].partition("=")[0]
        what = f"0 {environ['REQUEST_METHOD']} {environ['PATH_INFO'].rpartition('/')[2]} {query}"
        line = what.encode(errors="replace")[: stops.LINE - 1].ljust(stops.LINE - 1) + b"\n"
        log = os.open(told["log"], os.O_WRONLY | os.O_APPEND)
        try:
            os.write(log, line)
            return os.lseek(log, 0, os.SEEK_CUR) // stops.LINE - 1 == told["at"]
        finally:
            os.close(log)


def main(told: Path) -> None:
    """Serve until standard input ends."""
    server, serving = import_module("moto.server"), import_module("werkzeug.serving")
    application = server.DomainDispatcherApplication(server.create_backend_app)
    http = serving.make_server(
        "127.0.0.1", 0, _Held(application, told), threaded=True, request_handler=server.MotoRequestHandler
    )
    print(f"http://127.0.0.1:{http.server_address[1]}", flush=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
