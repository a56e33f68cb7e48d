"""A process pool whose workers end with their caller and print nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from threading import local
from typing import Any, Final, ParamSpec, TypeVar

from typing_extensions import override

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_BEGIN: Final = """
import pickle, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
except EOFError:
    sys.exit()
from projections.rebuilding.processes import serve
serve()
"""


class ProcessExecutor(Executor):
    """Runs calls in up to `processes_max` processes, started when they are needed.

    Each process is a fresh interpreter that does not import the caller's main module, so a script needs no main
    guard. Ctrl-C, SIGHUP and SIGTERM sent to everybody end only the caller. However the caller ends, even by
    SIGKILL, its processes end after their current call and print nothing.
    """

    def __init__(
        self, processes_max: int, *, initializer: Callable[..., None], initargs: tuple[object, ...] = ()
    ) -> None:
        """Every process calls `initializer(*initargs)` before anything else."""
        self._initial = initializer, initargs
        self._threads = ThreadPoolExecutor(processes_max)
        self._of_thread = local()
        self._processes: list[_Process] = []

    @override
    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Schedules a call; function, arguments and result must be picklable.

        The future raises `BrokenExecutor` when the process was killed.
        """
        return self._threads.submit(self._call, fn, args, kwargs)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends every process; waits for the calls in progress even when `wait` is false."""
        self._threads.shutdown(cancel_futures=cancel_futures)
        for process in self._processes:
            process.close()

    def _call(self, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        return self._process().call(function, args, kwargs)

    def _process(self) -> _Process:
        """The process of this thread."""
        if not hasattr(self._of_thread, "process"):
            self._of_thread.process = _Process(*self._initial)
            self._processes.append(self._of_thread.process)
        process: _Process = self._of_thread.process
        return process


class _Process:
    """A worker interpreter, spoken to through two pipes. It ends when its input pipe closes."""

    def __init__(self, initializer: Callable[..., None], initargs: tuple[object, ...]) -> None:
        # In a process group of its own it never sees a Ctrl-C.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self._send(sys.path)
        self._send((initializer, initargs))

    def call(self, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Runs a call in the process, and returns or raises what it returned or raised."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._send((function, args, kwargs))
        try:
            is_done, result = pickle.load(self._process.stdout)  # noqa: S301 - our own process
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise BrokenExecutor("a worker process was killed") from error
        if is_done:
            return result
        raise result

    def close(self) -> None:
        with suppress(OSError):
            self._process.communicate()

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):  # found out when the answer is awaited
            pickle.dump(value, self._process.stdin)
            self._process.stdin.flush()


def serve() -> None:
    """The main function of a worker: runs calls from standard input until it closes; prints go to standard error.

    The caller may end at any time: then the input closes, or the answer has no reader.
    """
    source, target = sys.stdin.buffer, os.dup(1)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        initializer, initargs = pickle.load(source)  # noqa: S301 - from the process that started this one
        initializer(*initargs)
        while True:
            function, args, kwargs = pickle.load(source)  # noqa: S301 - the same
            _send(target, _answer(function, args, kwargs))


def _answer(function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
    """Whether the call returned, and what it returned or raised, pickled."""
    try:
        return pickle.dumps((True, function(*args, **kwargs)))
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return pickle.dumps((False, error))


def _send(target: int, answer: bytes) -> None:
    """Writes without a buffer, which Python would fail to flush at exit when the caller is gone."""
    left = memoryview(answer)
    while left:
        left = left[os.write(target, left) :]
