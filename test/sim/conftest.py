"""What the tests of robots share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "arm.urdf") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write
