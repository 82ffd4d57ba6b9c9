"""The command line as its users meet it: in processes of its own."""

import signal
import subprocess
import sys

import pytest

from steadyhand.cli import COMMANDS

# A module with one command for every way to end; the child puts it into the table under the name `fake`.
FAKE = '''
import dataclasses, os, pathlib, sys, time, typing
from steadyhand.errors import SteadyhandError

@dataclasses.dataclass
class Config:
    """Do nothing in particular."""
    end: typing.Literal["well", "badly", "one", "wait", "open3d", "rclpy", "native", "bug", "locked", "much"] = "well"
    """How to end."""
    episodes: int = 3
    """How many."""
    dry_run: bool = False
    """Whether."""

def main(config: Config) -> int | None:
    match config.end:
        case "badly": raise SteadyhandError("given 1;\\n allowed 2")
        case "one": return 1
        case "wait": print("waiting", flush=True); time.sleep(60)
        case "open3d": raise ModuleNotFoundError("no", name="open3d")
        case "rclpy": raise ModuleNotFoundError("no", name="rclpy.node")
        case "native": raise ModuleNotFoundError("no", name="steadyhand.sim._native")
        case "bug": raise ModuleNotFoundError("no", name="nonsense")
        case "locked": raise PermissionError(13, "Permission denied", "/some/file")
        case "much": print("\\n".join("y" * 70 for _ in range(100_000)))
        case _: print(config)
'''
CHILD = """
import sys
from steadyhand import cli
cli.COMMANDS["fake"] = cli.Command("fake_command", "for tests")
sys.exit(cli.main())
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> list[str]:
    """The command that runs the command line with `fake` in its table."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "fake_command.py").write_text(FAKE)
    (folder / "child.py").write_text(CHILD)
    return [sys.executable, str(folder / "child.py"), "fake"]


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)


def steadyhand(*arguments: str) -> subprocess.CompletedProcess:
    return run(sys.executable, "-m", "steadyhand", *arguments)


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """One line on stderr that has the words, status 2, and nothing else."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("steadyhand: error: ")
    for word in words:
        assert word in done.stderr


def test_help_lists_every_command_without_importing_what_takes_seconds():
    code = (
        "import sys; from steadyhand import cli; cli.main(['--help']);"
        "sys.exit(bool({'torch', 'mujoco', 'lerobot', 'rclpy', 'tyro'} & set(sys.modules)))"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_version():
    assert steadyhand("--version").stdout.startswith("0.")


def test_no_command_shows_the_help():
    done = steadyhand()
    assert done.returncode == 2
    assert "usage: steadyhand COMMAND" in done.stdout


def test_unknown_command():
    assert_refused(steadyhand("evl"), "'evl'", "allowed: demo, twin", "did you mean eval?")
    assert_refused(steadyhand("data", "cnvert"), "'data cnvert'", "did you mean data convert?")


def test_a_family_of_commands_lists_its_own():
    done = steadyhand("data", "--help")
    assert done.returncode == 0
    assert "  data convert " in done.stdout
    assert "  eval " not in done.stdout
    assert steadyhand("data").returncode == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = steadyhand(*name.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: steadyhand {name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episods", "4"], ["--episods", "allowed: --end, --episodes, --dry-run", "did you mean --episodes?"]),
        (["--frobnicate"], ["--frobnicate", "see steadyhand fake --help"]),
        (["stray"], ["'stray'"]),
        (["--episodes", "many"], ["--episodes", "'many'"]),
        (["--episodes"], ["--episodes", "Missing value"]),
        (["--end", "never"], ["'never'", "'well'", "'badly'"]),
    ],
)
def test_wrong_usage_is_one_line(fake, arguments, words):
    assert_refused(run(*fake, *arguments), *words)


def test_options_reach_the_command(fake):
    done = run(*fake, "--episodes=5", "--dry_run")
    assert done.stdout == "Config(end='well', episodes=5, dry_run=True)\n"
    assert done.returncode == 0


def test_status_of_a_command_is_the_status_of_the_process(fake):
    assert run(*fake, "--end", "one").returncode == 1


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("badly", ["given 1; allowed 2"]),
        ("open3d", ["pip install 'steadyhand[pointcloud]'"]),
        ("rclpy", ["source a ROS distribution", "pip install 'steadyhand[ros]'"]),
        ("native", ["not built", "make install"]),
        ("locked", ["Permission denied: /some/file"]),
    ],
)
def test_mistakes_that_users_can_mend_are_one_line(fake, end, words):
    assert_refused(run(*fake, "--end", end), *words)


def test_a_bug_keeps_its_traceback(fake):
    done = run(*fake, "--end", "bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_ctrl_c(fake):
    child = subprocess.Popen([*fake, "--end", "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert errors == "steadyhand: stopped\n"
    assert child.returncode == 130


def test_a_reader_that_leaves_is_no_error(fake):
    child = subprocess.Popen([*fake, "--end", "much"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait(timeout=20) == 0


def test_unknown_measurement(tmp_path):
    assert_refused(steadyhand("bench", "nothing", "--json", str(tmp_path / "x.json")), "'nothing'", "allowed:")
