"""docs/lerobot.md, tried: LeRobot's own tools record, replay, train and run on a twin."""

import shlex
import sys
import sysconfig
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot_pages import commands, install, run
from listening import serve

from steadyhand import ros
from steadyhand import ros_messages as m
from steadyhand.ros_processes import Processes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lerobot.md").read_text()
# What makes the page's commands fit a test, in free space; the last of two equal options counts.
SMALL = "--robot.image_width=160 --robot.image_height=120"
SHORT = {
    "steadyhand twin": "--task reach --width 160 --height 120",
    "steadyhand teleop": "--device scripted --task reach --episodes 50",
    "lerobot-record": "--dataset.episode_time_s=5 --dataset.reset_time_s=1 --robot.environment=reach "
    f"--dataset.rgb_encoder.preset=veryfast {SMALL}",
    "lerobot-replay": "",
    "lerobot-train": "--steps=4 --batch_size=2 --num_workers=0 --policy.dim_model=32 --policy.n_heads=2 "
    "--policy.n_encoder_layers=1 --policy.chunk_size=8 --policy.n_action_steps=8 "
    "--policy.pretrained_backbone_weights=null",
    "lerobot-rollout": f"--duration=6 --robot.environment=reach {SMALL}",
}


class Watch:
    """What was asked of the arm, and when."""

    def __init__(self, node: ros.Node) -> None:
        self.asked: list[tuple[float, np.ndarray]] = []  # stamp, position
        # Not of depth 1, as those of the table are: here every one counts.
        node.create_subscription(ros.PoseStamped, "target_pose", self._on_target, ros.SENSOR)

    def _on_target(self, message: ros.PoseStamped) -> None:
        self.asked.append((m.get_stamp(message), m.pose_arrays(message)[0]))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page(graph, tmp_path, tmp_path_factory):
    pip, *lines = commands(PAGE)
    site = install(pip, tmp_path_factory)
    twin_line, teleop_line, *tools = [shlex.split(line) for line in lines]
    assert [" ".join(twin_line[:2]), " ".join(teleop_line[:2]), *(tool[0] for tool in tools)] == list(SHORT)
    record, replay, train, rollout = (
        [sys.executable, str(Path(sysconfig.get_path("scripts")) / tool[0]), *tool[1:], *SHORT[tool[0]].split()]
        for tool in tools
    )
    with serve(tmp_path / "twin", *twin_line[2:], *SHORT["steadyhand twin"].split()) as twin:
        watch = Watch(twin.node)
        with Processes(tmp_path / "hand") as hand:
            hand.start("teleop", *teleop_line[2:], *SHORT["steadyhand teleop"].split())
            run(record, tmp_path, site)
        columns = check_recorded(tmp_path / "outputs/lerobot/peg")
        watch.asked.clear()
        run(replay, tmp_path, site)
        check_replayed(watch.asked, twin.heard["current_pose"], *columns)
        run(train, tmp_path, site)
        start, asked = twin.pose()[0], len(watch.asked)
        run(rollout, tmp_path, site)
        assert len(watch.asked) > asked + 5
        assert np.linalg.norm(twin.pose()[0] - start) > 0.005
        assert set(twin.refused()) <= {"refused_jump"}  # a policy of four steps may ask for anything


def check_recorded(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The dataset opens, pictures change, the arm goes where the hand asks; returns actions and states."""
    dataset = LeRobotDataset("local/peg", root=root)
    assert dataset.num_episodes == 2
    rows = dataset.hf_dataset.with_format("numpy")
    action, state, episode = (np.array(rows[name]) for name in ("action", "observation.state", "episode_index"))
    for number in range(2):
        mine = episode == number
        assert 35 <= mine.sum() <= 51
        assert np.ptp(action[mine, :3], axis=0).max() > 0.05
        behind = [np.linalg.norm(action[mine][:-k, :3] - state[mine][k:, :3], axis=1) for k in range(1, 5)]
        assert min(map(np.median, behind)) < 0.01
    pictures = [dataset[i]["observation.images.wrist"].numpy() for i in range(0, dataset.num_frames, 10)]
    assert max(np.abs(a - b).mean() for a, b in pairwise(pictures)) > 0.005
    return action[episode == 0], state[episode == 0]


def check_replayed(asked: list, heard: list, action: np.ndarray, state: np.ndarray) -> None:
    """The same requests at the same pace take the arm along the same path, but for the resets that were recorded."""
    stamps, positions = (np.array(values) for values in zip(*asked, strict=True))
    missed = len(action) - len(positions)  # the first ones, while the listener had not been found
    assert 0 <= missed < 15
    np.testing.assert_allclose(positions, action[missed:, :3], atol=1e-6)
    poses = np.array([m.pose_arrays(message)[0] for _, message in heard])
    at = np.searchsorted([m.get_stamp(message) for _, message in heard], stamps) - 1
    departure = np.linalg.norm(poses[at] - state[missed:, :3], axis=1)
    assert np.median(departure) < 0.01, departure
