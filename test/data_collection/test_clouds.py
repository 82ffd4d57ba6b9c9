"""Point clouds made at conversion, of a scene that is known: a plate above a table, seen from above."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open3d
import pytest
import yaml
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from speaking import GOOD, record, said

from steadyhand import ros_messages
from steadyhand.cli import main as cli
from steadyhand.data_collection.clouds import Clouds, read_clouds
from steadyhand.data_collection.convert import ConvertConfig, main
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.schema import CLOUD, read_info
from steadyhand.errors import SteadyhandError

HEIGHT, WIDTH, FOCAL = 48, 64, 60.0
K = np.array([[FOCAL, 0.0, 31.5], [0.0, FOCAL, 23.5], [0.0, 0.0, 1.0]])
ABOVE = [0.5, 0.1, 1.0]  # m: where both cameras are
LOOKS_DOWN = [1.0, 0.0, 0.0, 0.0]  # its x is the base's, y and z are turned round
TURNED = [0.7071067811865476, 0.7071067811865476, 0.0, 0.0]  # by a quarter turn about the view
ROWS, COLUMNS = slice(10, 30), slice(40, 60)  # pixels that show the plate, 0.1 m above the table
THIN = {"points": 64, "lower": [0.0, -0.5, 0.05], "voxel": 0.0, "neighbours": 0}


def scene() -> np.ndarray:
    """m, as the front camera sees it."""
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    depth[ROWS, COLUMNS] = 0.9
    depth[:5] = 0.0
    return depth


def seen(decisions: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Iterator[tuple]:
    for topic, message, captured, received in said(decisions):
        if topic != "front/image_raw":
            yield topic, message, captured, received
            continue
        for camera in ("front", "side"):
            depth = ros_messages.depth_image(scene(), captured, "optical")
            yield f"{camera}/depth/image_raw", depth, captured, received
            info = ros_messages.camera_info(*size, K, captured, "optical")
            yield f"{camera}/depth/camera_info", info, captured, received


def described(file: Path, quaternion=LOOKS_DOWN, **changes) -> Path:
    cameras = {"front": {"position": ABOVE, "quaternion": quaternion}}
    file.write_text(yaml.safe_dump({"cameras": cameras} | THIN | changes))
    return file


@pytest.fixture(scope="module")
def journal(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clouds") / "journal"
    with Journal(folder, reserve=0) as journal:
        record(journal, seen(4), GOOD, cameras=["front:depth", "side:depth"])
        record(journal, seen(3, size=(128, 96)), GOOD, cameras=["front:depth", "side:depth"])
    return folder


@pytest.fixture(scope="module")
def converted(journal, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    main(ConvertConfig(journal, folder / "dataset", clouds=described(folder / "clouds.yaml")))
    return folder / "dataset"


def test_the_points_are_where_the_plate_is(converted):
    """LeRobot gives them in the base frame, after the projection of the pixels' centres."""
    dataset = LeRobotDataset("local/test", root=converted)
    assert len(dataset) == 4  # the other episode's camera_info is of other pictures
    rows, columns = np.mgrid[ROWS, COLUMNS]
    plate = np.stack([0.5 + 0.9 * (columns - 31.5) / FOCAL, 0.1 - 0.9 * (rows - 23.5) / FOCAL, 0.1 + 0.0 * rows], -1)
    plate = plate.reshape(-1, 3)
    for row in range(4):
        cloud = dataset[row][CLOUD].numpy()
        assert cloud.shape == (64, 3)
        nearest = np.linalg.norm(cloud[:, None] - plate, axis=-1).min(axis=1)
        assert nearest.max() < 1e-6
        assert len(np.unique(cloud, axis=0)) == 64
    assert dataset.meta.stats[CLOUD]["mean"].shape == (3,)
    made = read_info(converted)["features"][CLOUD]["info"]["cloud"]
    assert made["cameras"]["front"] == {"position": ABOVE, "quaternion": LOOKS_DOWN}
    assert (made["points"], made["voxel"]) == (64, 0.0)


def test_export_writes_ply_files(converted, tmp_path):
    assert cli(["data", "export", str(converted), "0", "--output", str(tmp_path / "files")]) == 0
    files = sorted((tmp_path / "files" / "point_cloud").glob("*.ply"))
    assert len(files) == 4
    cloud = LeRobotDataset("local/test", root=converted)[2][CLOUD].numpy()
    np.testing.assert_allclose(open3d.io.read_point_cloud(str(files[2])).points, cloud, atol=1e-6)
    assert "point_cloud" not in (tmp_path / "files" / "frames.csv").read_text()


def test_merged_and_repaired_datasets_keep_them(converted, tmp_path):
    """The last part of a data file, where its footer begins, is lost before the repair."""
    broken = shutil.copytree(converted, tmp_path / "broken")
    file = next((broken / "data").glob("*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-300])
    assert cli(["data", "repair", str(broken), "--output", str(tmp_path / "whole")]) == 0
    both = [str(converted), str(tmp_path / "whole")]
    assert cli(["data", "merge", *both, "--output", str(tmp_path / "all")]) == 0
    dataset, merged = (LeRobotDataset("local/test", root=folder) for folder in (converted, tmp_path / "all"))
    assert len(merged) == 8
    for i in range(8):
        np.testing.assert_array_equal(merged[i][CLOUD], dataset[i % 4][CLOUD])


def test_what_does_not_fit_is_left_out_and_said(journal, converted, tmp_path, capsys):
    turned = described(tmp_path / "turned.yaml", TURNED)
    with Journal(journal, reserve=0) as more:
        record(more, seen(3), GOOD, cameras=["front:depth", "side:depth"])
        record(more, seen(3), GOOD, cameras=["side:depth"])
    assert cli(["data", "convert", str(journal), "--output", str(converted), "--clouds", str(turned)]) == 0
    told = capsys.readouterr().out
    assert "front/depth/camera_info is about 96x128 pixels, the depth has 48x64" in told
    assert f"episode_000002: left out: its columns differ from those of the dataset: {CLOUD} (made with other" in told
    assert "unknown depth camera 'front'; allowed: side" in told


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cameras": {}}, "needs the key 'cameras'"),
        ({"cameras": {"front": {"position": ABOVE}}}, "front: key 'quaternion' is missing"),
        ({"cameras": {"front": {"position": ABOVE, "quaternion": [0, 0, 0, 2]}}}, "unit quaternion"),
        ({"points": 0}, "points is 0"),
        ({"radius": 1.0}, "unknown key 'radius'"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, changes, complaint):
    with pytest.raises(SteadyhandError, match=complaint):
        read_clouds(described(tmp_path / "clouds.yaml", **changes))


def test_left_out_keys_are_those_of_the_environments(tmp_path):
    (tmp_path / "clouds.yaml").write_text(f"cameras: {{front: {{position: {ABOVE}, quaternion: {LOOKS_DOWN}}}}}")
    clouds: Clouds = read_clouds(tmp_path / "clouds.yaml")
    assert clouds.column()["shape"] == (1024, 3)
    assert clouds.spec.upper == (0.9, 0.5, 0.7)
