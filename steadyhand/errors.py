"""Errors meant for people: one line that says what was given, what is allowed and how to fix it."""

from collections.abc import Iterable


class SteadyhandError(Exception):
    """A mistake the user can fix. The command line prints its message on one line and exits with status 2."""


def unknown(kind: str, given: object, allowed: Iterable[object], hint: str = "") -> SteadyhandError:
    """Build the error for a name that is not in a list.

    Args:
        kind: What the name stands for ("task", "robot", ...).
        given: What the user wrote.
        allowed: Every name that would have been accepted.
        hint: How to go on, if the list alone does not say it.
    """
    names = ", ".join(str(name) for name in allowed) or "none"
    return SteadyhandError(f"unknown {kind} '{given}'; allowed: {names}" + (f"; {hint}" if hint else ""))


def one_line(error: BaseException) -> str:
    """What an error of another library says, on one line."""
    return " ".join(str(error).split())
