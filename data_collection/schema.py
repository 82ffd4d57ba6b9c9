"""The columns of a recorded dataset: names, shapes and dtypes, written down in one place."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from steadyhand.data_collection.labels import MODES, Segment, segment_names
from steadyhand.errors import SteadyhandError

SCHEMA_VERSION = 2  # 2: subtask, chunk_index, controller_status, stamp
FOLDER = Path("meta/steadyhand")  # inside a dataset: what LeRobot does not know
INFO = Path("meta/info.json")
FIRST_FILE = "chunk-000/file-000.parquet"  # of data and of meta/episodes
SCHEMA = FOLDER / "schema.json"
CLOUD = "observation.point_cloud"  # (points, 3), only if a conversion was asked for it
STAMP = "stamp"  # of the decision: LeRobot's own timestamp is the ideal one, a multiple of 1 / fps

POSE_NAMES = ["x", "y", "z", "r0", "r1", "r2", "r3", "r4", "r5"]
ACTION_NAMES = [*POSE_NAMES, "gripper"]
_SIZES = ("height", "width", "channels")
STATE_NAMES = [*ACTION_NAMES, "fx", "fy", "fz", "tx", "ty", "tz"]
ACTION_CONVENTION = (
    "requested pose of the tool frame in the base frame: x y z in metres, the first two columns of the "
    "rotation matrix, gripper 0 closed .. 1 open; the observation is taken before the action"
)
# LeRobot fills these in by itself.
AUTOMATIC = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def features(
    joints: int | Mapping[str, int],
    environment_names: Sequence[str] = (),
    cameras: Mapping[str, tuple[int, int]] | None = None,
    arrays: Mapping[str, Sequence[str]] | None = None,
    depths: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, dict]:
    """Build the LeRobot features of a robot and task.

    Args:
        joints: Of the arm; of several arms by the prefix of their names, in the order of the columns' values.
        environment_names: One name per value of `observation.environment_state`; none leaves the column out.
        cameras: Camera name -> (height, width) in pixels, both even (H.264 halves the colour resolution).
        arrays: Further column -> one name per value, e.g. of a force sensor or of a tactile one.
        depths: Camera that measures depth -> (height, width) in pixels.

    Returns:
        Column name -> {dtype, shape, names}, as `LeRobotDataset.create` takes it.
    """
    arms = {"": joints} if isinstance(joints, int) else joints
    moving = [f"{arm}{quantity}{i}" for arm, n in arms.items() for quantity in ("q", "dq") for i in range(n)]
    state, pose, action = (
        [arm + name for arm in arms for name in names] for names in (STATE_NAMES, POSE_NAMES, ACTION_NAMES)
    )
    columns = {
        "observation.state": _floats(state),
        "observation.joints": _floats(moving),
        "observation.reference": _floats(pose),
    }
    if environment_names:
        columns["observation.environment_state"] = _floats(environment_names)
    columns |= {column: _floats(names) for column, names in (arrays or {}).items()}
    for name, (height, width) in (cameras or {}).items():
        if height % 2 or width % 2 or min(height, width) <= 0:
            raise SteadyhandError(
                f"camera '{name}' is {height}x{width} pixels; height and width must be even for H.264 video; "
                "choose the next even size"
            )
        columns[image_column(name)] = {"dtype": "video", "shape": (height, width, 3), "names": list(_SIZES)}
    for name, (height, width) in (depths or {}).items():
        columns[image_column(name, depth=True)] = {
            "dtype": "image",  # LeRobot 0.6.1 keeps 16 bits in images, 12 in videos
            "shape": (height, width, 1),
            "names": list(_SIZES),
            "info": {"is_depth_map": True, "depth_unit": "mm"},
        }
    columns["action"] = columns["action_applied"] = _floats(action)
    columns["segment"] = {"dtype": "int8", "shape": (1,), "names": ["segment"]}
    columns["intervention"] = {"dtype": "bool", "shape": (1,), "names": ["intervention"]}
    for name in ("subtask", "chunk_index"):
        columns[name] = {"dtype": "int16", "shape": (1,), "names": [name]}
    columns["controller_status"] = {"dtype": "int8", "shape": (len(arms),), "names": [f"{arm}mode" for arm in arms]}
    columns[STAMP] = {"dtype": "float32", "shape": (1,), "names": [STAMP]}
    return columns


def image_column(camera: str, depth: bool = False) -> str:
    """The column of a camera's images, or of its depth: named as LeRobot's own cameras have it."""
    return f"observation.images.{camera}_depth" if depth else f"observation.images.{camera}"


def is_depth(column: Mapping) -> bool:
    """Whether a column holds depth."""
    return bool((column.get("info") or {}).get("is_depth_map", False))


def _dtype(column: Mapping) -> str:
    """Of the values that a frame has."""
    if column["dtype"] in ("video", "image"):
        return "uint16" if is_depth(column) else "uint8"
    return column["dtype"]


def _floats(names: Sequence[str]) -> dict:
    return {"dtype": "float32", "shape": (len(names),), "names": list(names)}


def column_names(column: Mapping, name: str) -> list[str]:
    """A name per value of a column; made up where the dataset gives none."""
    names = column.get("names")
    if isinstance(names, dict):  # some recorders write {"axes": [...]}
        names = next(iter(names.values()), None)
    size = int(np.prod(column["shape"]))
    return list(map(str, names)) if names and len(names) == size else [f"{name}[{i}]" for i in range(size)]


def arm_prefixes(columns: Mapping[str, Mapping]) -> list[str]:
    """What the names of an arm's values begin with, for each arm of a dataset with our actions; [] of any other."""
    names = column_names(columns["action"], "action") if "action" in columns else []
    return [name.removesuffix("x") for name in names if name in ("x", "left_x", "right_x")]


def unit(column: str, value: str) -> str:
    """The unit of a value in a column of ours, e.g. " [m]"; "" where it has none or nobody says."""
    units = (
        {"x": "m", "y": "m", "z": "m"}
        | dict.fromkeys(("fx", "fy", "fz"), "N")
        | dict.fromkeys(("tx", "ty", "tz"), "Nm")
    )
    bare = value.removeprefix("left_").removeprefix("right_")
    if column == "observation.joints":
        found = "rad/s" if bare.startswith("dq") else "rad"
    elif column in ("observation.state", "observation.reference", "action", "action_applied"):
        found = units.get(bare, "")
    else:
        found = ""
    return f" [{found}]" if found else ""


def check_frame(frame: Mapping[str, np.ndarray], columns: Mapping[str, dict]) -> None:
    """Refuse a frame whose columns, shapes, dtypes or values are not what the dataset holds."""
    if frame.keys() != columns.keys():
        missing = ", ".join(name for name in columns if name not in frame) or "none"
        extra = ", ".join(str(name) for name in frame if name not in columns) or "none"
        raise SteadyhandError(
            f"frame does not have the columns of the dataset; missing: {missing}; unknown: {extra}; "
            f"needed: {', '.join(columns)}"
        )
    for name, column in columns.items():
        value = frame[name]
        dtype = _dtype(column)
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != tuple(column["shape"]):
            given = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            raise SteadyhandError(f"column '{name}' is {given}; needed: numpy {dtype} {tuple(column['shape'])}")
        if dtype == "float32" and not np.isfinite(value).all():
            at = column_names(column, name)[int(np.flatnonzero(~np.isfinite(value))[0])]
            raise SteadyhandError(f"column '{name}' holds a value that is not finite at '{at}'; the frame is refused")
    if "segment" in columns and not 0 <= frame["segment"][0] < len(Segment):
        raise SteadyhandError(
            f"segment {frame['segment'][0]} is not one of 0..{len(Segment) - 1}: " + ", ".join(segment_names())
        )


def differing(given: Mapping[str, dict], stored: Mapping[str, dict]) -> list[str]:
    """Describe the columns in which two schemas differ, LeRobot's own ones left aside."""
    report = []
    for name in sorted((given.keys() | stored.keys()) - set(AUTOMATIC)):
        if name not in stored:
            report.append(f"{name} (not in the dataset)")
        elif name not in given:
            report.append(f"{name} (only in the dataset)")
        elif (new := _identity(given[name])) != (old := _identity(stored[name])):
            report.append(f"{name} (given {new}, dataset {old})" if new[:2] != old[:2] else f"{name} (other names)")
        elif _cloud(given[name]) != _cloud(stored[name]):
            report.append(f"{name} (made with other cameras or another box; see its info in {INFO})")
    return report


def _identity(column: Mapping) -> tuple:
    return column["dtype"], tuple(column["shape"]), tuple(column["names"] or ())


def _cloud(column: Mapping) -> dict | None:
    """How the clouds of a column were made."""
    return (column.get("info") or {}).get("cloud")


def schema_text(robot: str) -> str:
    """Return the JSON text of `meta/steadyhand/schema.json`."""
    content = {
        "version": SCHEMA_VERSION,
        "robot": robot,
        "segments": segment_names(),
        "controller_modes": list(MODES),
        "action": ACTION_CONVENTION,
    }
    return json.dumps(content, indent=2) + "\n"


def read_info(path: Path | str) -> dict:
    """Return the content of a dataset's `meta/info.json`, or refuse what is no LeRobot v3 dataset."""
    path = Path(path)
    if not path.is_dir():
        raise SteadyhandError(f"'{path}' is no folder; give the folder of a LeRobot dataset (it holds meta/info.json)")
    if not (path / INFO).exists() and any(path.rglob("*.mcap")):
        raise SteadyhandError(f"'{path}' is a journal; make a dataset of it with `steadyhand data convert`")
    info = _read_json(path, INFO)
    if not str(info.get("codebase_version", "")).startswith("v3"):
        found = info.get("codebase_version", "none")
        raise SteadyhandError(f"'{path}' is a LeRobot dataset of version {found}; allowed: v3; convert it with lerobot")
    return info


def read_schema(path: Path | str) -> dict:
    """Return the content of a dataset's `meta/steadyhand/schema.json`."""
    return _read_json(Path(path), SCHEMA)


def _read_json(path: Path, name: Path) -> dict:
    try:
        content = json.loads((path / name).read_text())
    except FileNotFoundError:
        raise SteadyhandError(f"'{path}' is no Steadyhand dataset: it has no {name}; record one there first") from None
    except (OSError, ValueError) as error:
        raise SteadyhandError(f"cannot read {path / name}: {error}; restore the file or record anew") from None
    if not isinstance(content, dict):
        raise SteadyhandError(f"{path / name} holds no JSON object; restore the file or record anew")
    return content
