"""An executor whose calls run in fresh interpreters, which never outlast their caller and never write a word."""

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
    """Calls functions in up to `processes_max` processes, which are started as calls come.

    Each is a fresh interpreter that knows nothing of the caller's program, so a script needs no main guard. Signals
    that reach a whole process group (Ctrl-C, a hangup, a service manager's stop) end the caller only; and however the
    caller ends, killed or not, its processes end after the call they are at and write nothing.
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
        """The function, its arguments and its result are pickled; `BrokenExecutor` when its process was killed."""
        return self._threads.submit(self._call, fn, args, kwargs)

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Always waits for the calls in progress: no process is left behind."""
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
    """An interpreter at the other end of two pipes. It ends when the pipe to it does, however this process ends."""

    def __init__(self, initializer: Callable[..., None], initargs: tuple[object, ...]) -> None:
        # In a process group of its own it never sees a Ctrl-C.
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _BEGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )
        self._send(sys.path)
        self._send((initializer, initargs))

    def call(self, function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Gives the result of the call in that process, or raises what it raised."""
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
    """Makes the calls that come through standard input, until its end; what they print goes to standard error.

    The caller may end at any time: then the input ends, or nobody takes the answer.
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
    """Writes at once: what stayed in a buffer would be complained of when this process ends."""
    left = memoryview(answer)
    while left:
        left = left[os.write(target, left) :]
