"""Small stages for the tests of the runner, and a command that runs them: python stages.py META [flags]."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import polars as pl

from tools import cli
from tools.errors import MediaError
from tools.stage.stage import Stage


@dataclasses.dataclass
class CrcStage(Stage):
    """CRC-32 of the file, by way of an array, and one tenth of it as a float.

    Files take `delay` seconds, and those whose names come at or after `hold` never end.
    """

    name = "crc"
    suffix = "_crc"
    required_columns = ("path",)
    optional_columns = ("id",)
    output_columns = {"crc": pl.Int64, "tenth": pl.Float64}

    salt: int = 0
    delay: float = 0.0
    hold: str = "~"

    def config(self):
        return {"salt": self.salt}

    def prepare(self, row, frames):
        time.sleep(self.delay)
        path = Path(row["path"])
        if path.name >= self.hold:
            time.sleep(3600)
        if not path.exists():
            raise MediaError("missing", path, "no such file")
        data = path.read_bytes()
        match data:
            case b"hang":
                time.sleep(3600)
            case b"crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case b"kill" if not path.with_name("spare").exists():
                os.kill(os.getpid(), signal.SIGKILL)
            case b"exit":
                os._exit(3)
            case b"memory":
                bytearray(3 << 30)
            case b"bug":
                raise KeyError("bug")
        return np.frombuffer(data, np.uint8)

    def score(self, batch):
        if any(bytes(array) == b"bad batch" for array in batch):
            raise RuntimeError("one of them is bad")
        crcs = [zlib.crc32(array.tobytes(), self.salt) for array in batch]
        return [{"crc": crc, "tenth": crc / 10} for crc in crcs]


@dataclasses.dataclass
class BytesStage(Stage):
    """One row for each byte of a file; a zero byte is a failure of its own."""

    name = "bytes"
    suffix = "_bytes"
    output_columns = {"rows": pl.Object, "failures": pl.Object}
    one_to_many = True
    row_columns = {"byte": pl.Int64}

    def stale_columns(self, columns):
        return ["id"]

    def prepare(self, row, frames):
        data = Path(row["path"]).read_bytes()
        return {
            "rows": [{"byte": byte} for byte in data if byte],
            "failures": [["bad_value", "a zero byte"] for byte in data if not byte],
        }


def main(argv=None):
    from tools.stage.options import add_stage_arguments, run_command

    parser = cli.ArgumentParser("tests.stage.stages", "Runs a test stage.", "stages.py meta.csv")
    parser.add_argument("meta")
    parser.add_argument("--salt", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--hold", default="~")
    add_stage_arguments(parser, batch_size=4, num_workers=2)
    args = parser.parse_args(argv)
    from tests.stage.stages import CrcStage as stage  # the importable one, not that of __main__

    return run_command(stage(salt=args.salt, delay=args.delay, hold=args.hold), args)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    cli.run(main)
