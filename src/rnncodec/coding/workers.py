"""Processes that work for this one. They end when it is interrupted, print nothing then, and leave no file half
written."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from multiprocessing.context import BaseContext
from types import FrameType, TracebackType
from typing import Any


def _nothing() -> None:
    """What needs no preparation. A lambda could not be sent to another process."""


class Workers(ProcessPoolExecutor):
    """A number of ``processes``; each calls ``prepare(*arguments)`` before its first task. When a ``with`` block of
    them ends with an exception, their tasks are broken off. ``modules`` are those that the tasks need and that take
    long to import."""

    def __init__(
        self,
        processes: int,
        prepare: Callable[..., object] = _nothing,
        *arguments: Any,
        modules: Sequence[str] = (),
    ) -> None:
        super().__init__(processes, _start_method(modules), _prepare, (prepare, arguments))

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        with _signals_blocked():
            return super().submit(_perform, task, *arguments, **options)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in active_children():
                process.terminate()
        self.shutdown(cancel_futures=True)


def _start_method(modules: Sequence[str]) -> BaseContext:
    """On Linux, one more process imports ``modules``, and all workers are forked from it and share its memory. It does
    nothing else, so that no thread of it works at a fork. Elsewhere each worker imports the modules."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process that is started inside the block never sees SIGINT, which terminals send to all processes of a command,
    and SIGTERM only once it unblocks it: the process that workers are forked from must outlive them, because it reports
    their ends. This process sees both after the block."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(prepare: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """Prepares a worker process. Until it is done, SIGTERM ends it at once: it has written nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    prepare(*arguments)
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    """Ends a worker, which removes what it has half written. A second signal does not disturb this: the pool sends one
    too, once it sees that another worker has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def _perform(task: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Performs a task in a worker process."""
    try:
        return task(*arguments, **options)
    except SystemExit as end:  # files that are half written are removed by now
        os._exit(end.code if isinstance(end.code, int) else 1)
