"""Ctrl-C that is not lost."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN = 0.01  # s


@contextmanager
def kept() -> Iterator[None]:
    """A Ctrl-C that Python had to swallow comes again, until it arrives where it can be caught.

    Python raises ``KeyboardInterrupt`` between any two bytecodes of the main thread. If it is just in a destructor or
    in the callback of a weak reference (``WeakKeyDictionary``, used by much of the standard library), the exception
    cannot leave it: it goes to ``sys.unraisablehook``, and the program would go on as if nobody had asked it to end.
    """
    before = sys.unraisablehook
    pending: list[threading.Timer] = []

    def hook(swallowed: "sys.UnraisableHookArgs") -> None:
        if not isinstance(swallowed.exc_value, KeyboardInterrupt) or sys.is_finalizing():
            before(swallowed)
            return
        if pending:
            return  # comes once, however often it was swallowed: a second one would disturb the cleaning up
        # From a thread: what is raised here would be swallowed as well.
        pending.append(threading.Timer(_AGAIN, again))
        pending[0].daemon = True
        pending[0].start()

    def again() -> None:
        pending.clear()  # before: this one may be swallowed too
        os.kill(os.getpid(), signal.SIGINT)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
