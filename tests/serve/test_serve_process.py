"""The engine's process: talk to it, crash it, outlive it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serving
from serving import is_alive, run_async

from burnish.errors import BurnishError
from burnish.serve.engine.completion import Completion, EngineCrashed, EngineDown
from burnish.serve.engine.process import MAX_CRASHES, EngineProcess
from burnish.serve.engine.protocol import Delta, RequestRefused, Sampling
from burnish.serve.engine.settings import EngineSettings

served_folder = serving.served_folder
PROMPT = (1, 50, 60, 70)
LONG = Sampling(450, ignore_eos=True)
ONE_THREAD = EngineSettings(num_threads=1)


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[EngineProcess]:
    engine = EngineProcess(folder, ONE_THREAD)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def finish(completion: Completion) -> list[Delta]:
    deltas: list[Delta] = []
    while not deltas or deltas[-1].finish_reason is None:
        deltas += await completion.next()
    return deltas


async def until(condition: object, *, within_s: float = 20) -> None:
    assert callable(condition)
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        await asyncio.sleep(0.01)


def kill(engine: EngineProcess) -> int:
    assert engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)
    return engine.process_id


def test_requests_run_together_and_the_process_ends_with_the_client(served_folder: Path) -> None:
    async def work() -> int:
        async with started(served_folder) as engine:
            completions = [engine.submit((*PROMPT, i), Sampling(5 + i, ignore_eos=True)) for i in range(4)]
            found = await asyncio.gather(*(finish(completion) for completion in completions))
            lengths = [sum(len(delta.tokens) for delta in deltas) for deltas in found]
            assert lengths == [5, 6, 7, 8]
            assert engine.num_in_flight == 0
            assert engine.stats.memory_bytes > 0
            assert engine.process_id is not None
            return engine.process_id

    assert not is_alive(run_async(work()))


def test_a_refused_request_leaves_the_others(served_folder: Path) -> None:
    async def work() -> None:
        async with started(served_folder) as engine:
            bad, good = engine.submit((320,), LONG), engine.submit(PROMPT, Sampling(3, ignore_eos=True))
            with pytest.raises(RequestRefused, match="not in the vocabulary"):
                await bad.next()
            assert sum(len(delta.tokens) for delta in await finish(good)) == 3

    run_async(work())


def test_an_abort_reaches_the_engine(served_folder: Path) -> None:
    async def work() -> None:
        async with started(served_folder) as engine:
            dropped, kept = engine.submit(PROMPT, LONG), engine.submit(PROMPT, LONG)
            await dropped.next()
            engine.abort(dropped)
            engine.abort(dropped)  # twice is once
            await until(lambda: engine.stats.num_running == 1)
            await finish(kept)

    run_async(work())


def test_a_killed_engine_fails_what_it_had_and_comes_back(served_folder: Path) -> None:
    async def work() -> None:
        async with started(served_folder) as engine:
            completions = [engine.submit(PROMPT, LONG) for _ in range(3)]
            await completions[0].next()
            old = kill(engine)
            for completion in completions:
                with pytest.raises(EngineCrashed):
                    await finish(completion)
            with pytest.raises(EngineDown):
                engine.submit(PROMPT, LONG)
            await until(lambda: engine.is_ready)
            assert engine.process_id != old
            assert len(await finish(engine.submit(PROMPT, Sampling(1)))) == 1

    run_async(work())


def test_an_engine_that_keeps_dying_stays_down(served_folder: Path) -> None:
    async def work() -> None:
        downs: list[bool] = []
        engine = EngineProcess(served_folder, ONE_THREAD, lambda: downs.append(True))
        await engine.start()
        for _ in range(MAX_CRASHES):
            await until(lambda: engine.is_ready)
            kill(engine)
            await until(lambda: not engine.is_ready)
        await until(lambda: downs)
        assert downs == [True]
        assert not engine.is_ready
        await engine.close()

    run_async(work())


def test_a_folder_that_cannot_be_loaded_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="cannot be served"):
        run_async(EngineProcess(tmp_path, EngineSettings()).start())


def test_the_engine_dies_with_a_server_that_was_killed(served_folder: Path) -> None:
    code = f"""
import asyncio, os, signal
from pathlib import Path
from burnish.serve.engine.process import EngineProcess
from burnish.serve.engine.protocol import Sampling
from burnish.serve.engine.settings import EngineSettings

async def work():
    engine = EngineProcess(Path({str(served_folder)!r}), EngineSettings(num_threads=1))
    await engine.start()
    await engine.submit((1, 50), Sampling(500, ignore_eos=True)).next()
    print(engine.process_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(work())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    child = int(done.stdout)
    end_s = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < end_s, "the engine outlived its server"
        time.sleep(0.05)
