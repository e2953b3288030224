"""One thread that runs the model beside the window: the most urgent job first, of each kind the latest only."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from lightsam_plugins.errors import Cancelled, LightSamError

Kind = Literal["prompt", "hover", "encode", "batch"]  # in order of urgency
KINDS: tuple[Kind, ...] = get_args(Kind)
Deliver: TypeAlias = Callable[[Callable[[], None]], None]
_AT_EXIT = 30  # seconds that the end of Python waits for the step a thread is at
_STARTED: weakref.WeakSet[Worker] = weakref.WeakSet()


class Ticket:
    """What a running job knows of the world: whether it is still wanted, and whom to tell how far it is.

    Args:
        worker: Where it runs.
        kind: Its urgency.
        tell: Called on the window's thread with (done, total).
    """

    def __init__(self, worker: Worker, kind: Kind, tell: Callable[[int, int], None] | None) -> None:
        self.kind, self._worker, self._tell = kind, worker, tell
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Nobody waits for the result."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Let the job stop at its next step, and drop its result."""
        self._cancelled.set()

    def progress(self, done: int, total: int) -> bool:
        """Tell how far the job is; more urgent jobs are run in between.

        Returns:
            Whether to go on.
        """
        if self._tell is not None:
            tell = self._tell
            self._worker.deliver(lambda: None if self.cancelled else tell(done, total))
        self._worker.run_before(self.kind)
        return not self.cancelled


class _Task:
    def __init__(
        self,
        ticket: Ticket,
        job: Callable[[Ticket], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.ticket, self.job, self.done, self.failed = ticket, job, done, failed


class Worker:
    """A mailbox with one place a kind, and the thread that empties it.

    Args:
        deliver: Runs a function on the window's thread, soon. Results come this way.
    """

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self._condition = threading.Condition()
        self._waiting: dict[Kind, _Task] = {}
        self._running: list[_Task] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(
        self,
        kind: Kind,
        job: Callable[[Ticket], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        tell: Callable[[int, int], None] | None = None,
    ) -> None:
        """Run a job soon, in place of a waiting one of its kind.

        Args:
            kind: Its urgency.
            job: Called on the worker's thread.
            done: Called with the result on the window's thread, unless the job was cancelled.
            failed: Called with the error in the same way.
            tell: Called with (done, total) in the same way.
        """
        with self._condition:
            if self._closed:
                return
            self._waiting[kind] = _Task(Ticket(self, kind, tell), job, done, failed)
            if self._thread is None:
                _STARTED.add(self)
                self._thread = threading.Thread(target=self._run, name="lightsam", daemon=True)
                self._thread.start()
            self._condition.notify()

    def cancel(self, *kinds: Kind) -> None:
        """Drop jobs of some kinds, waiting and running ones; of all kinds where none is named."""
        with self._condition:
            for kind in kinds or KINDS:
                self._waiting.pop(kind, None)
            for task in self._running:
                if not kinds or task.ticket.kind in kinds:
                    task.ticket.cancel()

    def busy(self, *kinds: Kind) -> bool:
        """Whether a job of these kinds waits or runs and is wanted."""
        with self._condition:
            running = {task.ticket.kind for task in self._running if not task.ticket.cancelled}
            return bool((running | set(self._waiting)) & set(kinds or KINDS))

    def wait(self, kind: Kind, seconds: float) -> bool:
        """Stand still until no job of a kind waits or runs, but no longer than that; whether it came to it."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._has(kind), seconds)

    def _has(self, kind: Kind) -> bool:
        return kind in self._waiting or any(task.ticket.kind == kind for task in self._running)

    def close(self, timeout: float | None = 0) -> None:
        """End the thread after the step it is at.

        Args:
            timeout: Seconds to wait for that.
        """
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def run_before(self, kind: Kind) -> None:
        """Run what waits and is more urgent than a kind; called from inside of a job of it."""
        while task := self._next(KINDS[: KINDS.index(kind)]):
            self._do(task)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
            if task := self._next(KINDS):
                self._do(task)

    def _next(self, kinds: tuple[Kind, ...]) -> _Task | None:
        with self._condition:
            for kind in kinds:
                if task := self._waiting.pop(kind, None):
                    self._running.append(task)
                    return task
        return None

    def _do(self, task: _Task) -> None:
        try:
            result = task.job(task.ticket)
        except Cancelled:
            task.ticket.cancel()
        except LightSamError as error:
            self._hand_over(task, task.failed, error)
        except Exception as error:  # noqa: BLE001 - the thread must live on, and the user must hear of it
            self._hand_over(task, task.failed, error)
        else:
            self._hand_over(task, task.done, result)
        finally:
            with self._condition:
                self._running.remove(task)
                self._condition.notify_all()

    def _hand_over(self, task: _Task, to: Callable[[Any], None], value: Any) -> None:
        def hand_over() -> None:
            if not task.ticket.cancelled and not self._closed:
                to(value)

        self.deliver(hand_over)


@atexit.register
def _end() -> None:
    """Let each thread finish its step: one that is in torch as Python ends would abort the process."""
    for worker in list(_STARTED):
        worker.close(_AT_EXIT)
