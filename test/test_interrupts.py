"""Ctrl-C at the worst moments, in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

SWALLOWED = """
import signal, sys, time, weakref
from steadyhand import cli, interrupts
from steadyhand.sim import listing

def drop(callback):
    thing = type("Thing", (), {})()
    _ = weakref.ref(thing, callback)
    del thing

def swallowed(times=1):  # no exception can leave the callback of a weak reference
    for _ in range(times):
        drop(lambda _: signal.raise_signal(signal.SIGINT))
"""


def run(program: str) -> subprocess.CompletedProcess:
    program = SWALLOWED + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_comes_again_once_if_python_swallows_it(times):
    done = run(f"""
        with interrupts.kept():
            try:
                swallowed({times})
                time.sleep(30.0)
            except KeyboardInterrupt:
                time.sleep(0.2)
                print("caught")
    """)
    assert done.stdout == "caught\n", done.stderr
    assert done.stderr == ""


def test_what_else_is_swallowed_is_reported_as_ever():
    done = run("""
        with interrupts.kept():
            drop(lambda _: 1 / 0)
    """)
    assert "ZeroDivisionError" in done.stderr
    assert done.returncode == 0


def test_a_command_ends():
    done = run("""
        def command(config: listing.TasksConfig):
            swallowed()
            time.sleep(30.0)

        listing.tasks = command
        sys.exit(cli.main(["tasks"]))
    """)
    assert done.returncode == 130, done.stderr
    assert done.stderr == "steadyhand: stopped\n"
