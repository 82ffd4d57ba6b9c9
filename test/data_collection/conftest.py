"""Lets the tests here import `recording` and its like, some of them programs; what several tests read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """The datasets of `plain_lerobot`; copy before you change them."""
    folder = tmp_path_factory.mktemp("plain")
    subprocess.run(
        [sys.executable, str(Path(__file__).parent / "plain_lerobot.py"), str(folder)], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="session")
def journal(tmp_path_factory) -> Path:
    """Good, with a gap, discarded, of another camera, after a jump of the clock, cut off, good."""
    from speaking import write_journal  # here: it needs ROS messages

    return write_journal(tmp_path_factory.mktemp("journal") / "journal")


@pytest.fixture
def own_journal(journal, tmp_path) -> Path:
    """A copy, to judge anew."""
    return shutil.copytree(journal, tmp_path / "own" / "journal")


@pytest.fixture(scope="session")
def converted(journal, tmp_path_factory) -> tuple[Path, str]:
    """The dataset, and what was said."""
    folder = tmp_path_factory.mktemp("converted") / "dataset"
    command = [sys.executable, "-m", "steadyhand", "data", "convert", str(journal), "--output", str(folder)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=120, check=True)
    return folder, done.stdout
