"""`steadyhand bench record` as a user runs it, for a few seconds."""

import json

import pytest

from steadyhand.cli import main


@pytest.mark.slow
def test_it_says_what_it_has_measured(tmp_path):
    file = tmp_path / "new" / "record.json"
    assert main(["bench", "record", "--json", str(file), "--seconds", "3"]) == 0
    found = json.loads(file.read_text())
    assert found["frames_expected"] == pytest.approx(180, abs=6)
    assert 0 <= found["frames_lost"] <= found["frames_expected"]
    assert found["stamps_monotonic"] is True
    assert found["rows_expected"] == pytest.approx(30, abs=1)
    assert len(found["messages"]) == 15
    assert all(0 <= heard <= expected for expected, heard in found["messages"].values())
    assert all(found[key] > 0.0 for key in ("writer_p99_ms", "convert_real_time_factor", "decode_ms"))
