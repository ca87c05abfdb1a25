"""Stop processes at a chosen file operation, so that they can be killed there.

Python imports a module of this name as it starts. This one does nothing unless VIDSIEVE_STOPS is set, JSON:

    log      a file to which each operation is appended, as one line of `LINE` bytes; its length counts them
    folders  operations on files in these folders count
    at       number of the operation, from 0, before which the process stops itself (SIGSTOP); none for null
    torn     a write that is stopped at has written half of its bytes

Who kills which processes then is the business of `tests.reliability.kills`. The numbers run through all
processes of a command, in the order of the operations.
"""

import json
import os
import signal
import stat
import sys

VARIABLE = "VIDSIEVE_STOPS"
LINE = 96
_EVENTS = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
}
_WRITING = os.O_WRONLY | os.O_RDWR


class _Stops:
    def __init__(self, log, folders, at, torn):
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._folders = tuple(os.path.realpath(folder) for folder in folders)
        self._at, self._torn = at, torn
        self._pid = os.getpid()

    def watch(self):
        sys.addaudithook(self._event)
        self._write, os.write = os.write, self._counted_write

    def _event(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & _WRITING or isinstance(path, int):
                return
        elif event in _EVENTS:
            path = arguments[0]
        else:
            return
        if self._is_ours(path):
            self._count(event, path)

    def _is_ours(self, path):
        try:
            path = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  pathlib opens nothing here, but is slow
        except (TypeError, ValueError, OSError):
            return False
        return path.startswith(self._folders)

    def _counted_write(self, file, data):
        try:
            regular = stat.S_ISREG(os.fstat(file).st_mode) and os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115
        except OSError:
            regular = ""
        if not regular or not regular.startswith(self._folders):
            return self._write(file, data)
        half = len(data) // 2 if self._torn else 0
        if self._count("write", regular, lambda: half and self._write(file, data[:half])):
            return half + self._write(file, data[half:])
        return self._write(file, data)

    def _count(self, event, path, before_stop=lambda: None):
        """Count an operation; whether the process was stopped at it, and goes on."""
        name = os.fsdecode(path).rpartition("/")[2]
        line = f"{os.getpid()} {event} {name}".encode(errors="replace")[: LINE - 1].ljust(LINE - 1) + b"\n"
        write = getattr(self, "_write", os.write)
        write(self._log, line)
        if os.lseek(self._log, 0, os.SEEK_CUR) // LINE - 1 != self._at:
            return False
        before_stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        return True


def install():
    """Watch this process, if the environment asks for it."""
    if VARIABLE in os.environ:
        _Stops(**json.loads(os.environ[VARIABLE])).watch()


install()
