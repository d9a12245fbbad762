"""Ctrl-C and SIGTERM stop a process within seconds, whatever it is doing, and at once when asked twice."""

import signal
import subprocess
import sys
import time

import pytest

from burnish.cli.stopping import EXIT_CODE, stops_cleanly

PROGRAM = """
import ctypes, sys, time
from burnish.cli.stopping import stops_cleanly

def sleep():
    time.sleep(60)

def library():
    # A mutex that is locked twice: a wait inside a library, which no signal interrupts.
    libc = ctypes.CDLL(None)
    mutex = (ctypes.c_char * 64)()
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)

def stubborn():
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("ignored", flush=True)

with stops_cleanly(lambda words: print(words, flush=True), grace_s=float(sys.argv[2])):
    print("ready", flush=True)
    try:
        globals()[sys.argv[1]]()
    except KeyboardInterrupt:
        print("cleaned up", flush=True)
        sys.exit(7)
"""


def start(work: str, grace_s: float = 30) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, work, str(grace_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_run_clean_up(number: signal.Signals) -> None:
    process = start("sleep")
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 7
    assert "cleaned up" in output
    assert errors == ""


def test_the_second_signal_ends_at_once_even_inside_a_library() -> None:
    process = start("library")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping; press Ctrl-C again to stop at once\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=5)
    assert process.returncode == EXIT_CODE == 130
    assert "give the same command again to resume" in errors


@pytest.mark.parametrize("work", ["library", "stubborn"])
def test_a_run_that_does_not_stop_is_ended_after_its_grace(work: str) -> None:
    process = start(work, grace_s=0.5)
    start_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert 0.4 < time.monotonic() - start_s < 5
    assert "stopped at once" in errors


def test_signals_mean_again_what_they_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stops_cleanly(lambda _: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
