"""Lets the tests here import `recording`, which is a program as well."""

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
