"""A worker that keeps the others from working. It imports next to nothing: that counts as time of the job."""

import sys
import time


def hang_with_the_lock(what):
    """Hold the lock on the pipe between the processes, without which Pebble stops nobody, and sleep."""
    if what != "hang":
        time.sleep(0.2)
        return what
    frame = sys._getframe()
    while frame.f_code.co_name != "process_tasks":
        frame = frame.f_back
    frame.f_locals["channel"].mutex.acquire()
    time.sleep(3600)
