"""The demo's episodes over ROS, with a policy that has learned nothing."""

import pytest
from checkpoints import make_checkpoint

from steadyhand.ros_demo import run


@pytest.mark.slow
def test_both_episodes_go_over_ros(tmp_path):
    result = run(tmp_path / "ros", make_checkpoint(tmp_path / "policy"), seed=11)
    assert result["demonstration"]["success"] is True
    assert result["demonstration"]["seed"] == 11
    assert result["autonomous"]["decisions"] > 100
    assert result["received"] > 0.9 * result["published"] > 1000
    assert 5 < result["max_gap_ms"] < 1000
    assert 0.9 < result["real_time_factor"] < 1.1
