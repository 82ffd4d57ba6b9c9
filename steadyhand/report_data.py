"""What a demo left in its folder, read for the report; a part that is not there is None."""

import base64
import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from steadyhand.data_collection.labels import Segment
from steadyhand.data_collection.reading import Frames, load_columns
from steadyhand.data_collection.schema import INFO, read_info
from steadyhand.data_collection.sidecar import load_sidecar
from steadyhand.errors import SteadyhandError

ENVIRONMENT = "observation.environment_state"
VIDEO_BUDGET = 9_000_000  # bytes of video files in one page; base64 makes a third more of them


@dataclass(frozen=True)
class Track:
    """One episode over time: row i is decision i, its observation taken before its action.

    Attributes:
        row: Its line in the episode sidecar.
        fps: Decisions per second.
        columns: Column -> array (T, ...).
        names: Of the values of observation.environment_state; empty if the dataset has none.
    """

    row: dict
    fps: float
    columns: dict[str, np.ndarray]
    names: list[str]

    @property
    def time(self) -> np.ndarray:
        """Seconds since the start, (T,)."""
        return np.arange(len(self.columns["segment"])) / self.fps

    @property
    def tool(self) -> np.ndarray:
        """Measured position of the tool in the base frame, (T, 3) m."""
        return self.columns["observation.state"][:, :3]

    @property
    def segments(self) -> np.ndarray:
        """Segment numbers, (T,)."""
        return self.columns["segment"]

    @property
    def objects(self) -> list[str]:
        """Names of the objects whose position the task reports."""
        return [name.removesuffix(".z") for name in self.names if name.endswith(".z")]

    @property
    def helped(self) -> bool:
        """Whether a human took over."""
        return bool(np.isin(self.segments, (Segment.RECOVERY, Segment.CORRECTION)).any())

    def seen(self, name: str) -> np.ndarray:
        """One value of observation.environment_state over time, (T,)."""
        return self.columns[ENVIRONMENT][:, self.names.index(name)]

    def spans(self) -> list[tuple[Segment, float, float]]:
        """The stretches of one segment each: segment, begin and end in seconds."""
        cuts = [0, *(np.flatnonzero(np.diff(self.segments)) + 1), len(self.segments)]
        return [
            (Segment(int(self.segments[begin])), begin / self.fps, end / self.fps)
            for begin, end in itertools.pairwise(cuts)
        ]


class Recording:
    """All episodes of one dataset."""

    def __init__(self, path: Path) -> None:
        info = read_info(path)
        features = info["features"]
        self.path, self.fps = path, float(info["fps"])
        self.cameras = [name.rsplit(".", 1)[-1] for name, feature in features.items() if feature["dtype"] == "video"]
        self.names = list(features[ENVIRONMENT]["names"]) if ENVIRONMENT in features else []
        self.rows = load_sidecar(path)
        wanted = ["observation.state", "action", "action_applied", "segment"]
        self.frames: Frames = load_columns([path], [*wanted, ENVIRONMENT] if self.names else wanted)

    @staticmethod
    def open(path: Path) -> "Recording | None":
        """The dataset in this folder; None if there is none, or none of its episodes was finished."""
        if not (path / INFO).is_file() or not read_info(path)["total_episodes"]:
            return None
        return Recording(path)

    @cached_property
    def tracks(self) -> list[Track]:
        """Every episode, in order."""
        bounds = zip(self.rows, self.frames.start, self.frames.stop, strict=True)
        return [
            Track(row, self.fps, {name: column[begin:end] for name, column in self.frames.columns.items()}, self.names)
            for row, begin, end in bounds
        ]


@dataclass(frozen=True)
class Video:
    """One film, ready for the page."""

    title: str
    note: str
    failed: bool
    source: str  # data URI, H.264
    poster: str  # data URI, JPEG of its last picture


def read_losses(run: Path) -> np.ndarray | None:
    """Read (rows, 2): training step and loss."""
    file = run / "loss.csv"
    if not file.is_file():
        return None
    with file.open(newline="") as lines:
        rows = [(float(row["step"]), float(row["loss"])) for row in csv.DictReader(lines)]
    return np.array(rows) if rows else None


def read_evaluation(folder: Path) -> dict | None:
    """Read eval.json."""
    file = folder / "eval.json"
    try:
        return json.loads(file.read_text()) if file.is_file() else None
    except ValueError as error:
        raise SteadyhandError(f"cannot read {file}: {error}; evaluate again") from None


def films(folder: Path) -> dict[str, list[Path]]:
    """List the films of a demo by the place they have in the page, failures first."""
    lists = {name: sorted((folder / name / "videos").glob("*.mp4")) for name in ("eval_base", "eval_improved")}
    lists |= {name: sorted((folder / "videos").glob(f"{name}_*.mp4")) for name in ("intervention", "demo")}
    # LeRobot's files, one per camera and episode: the last episode is enough.
    cameras = sorted((folder / "ros" / "dataset" / "videos").glob("*"))
    lists["ros"] = [max(files) for camera in cameras if (files := list(camera.glob("*/*.mp4")))]
    return lists


def load_videos(folder: Path) -> tuple[dict[str, list[Video]], list[str]]:
    """Load the films of a demo that fit into the page; also name those that do not."""
    videos, left_out = embed(films(folder))
    return videos, [str(path.relative_to(folder)) for path in left_out]


def embed(lists: Mapping[str, Sequence[Path]]) -> tuple[dict[str, list[Video]], list[Path]]:
    """Load films by the place they have in a page, the first of each place first, until VIDEO_BUDGET is used up.

    Returns the films by place, and those that were left out.
    """
    order = sorted(
        ((rank, place, path) for place, paths in lists.items() for rank, path in enumerate(paths)),
        key=lambda entry: (entry[0], list(lists).index(entry[1])),
    )
    room, chosen, left_out = VIDEO_BUDGET, set(), []
    for _, _, path in order:
        size = path.stat().st_size
        if size <= room:
            room -= size
            chosen.add(path)
        else:
            left_out.append(path)
    return {place: [_video(path) for path in paths if path in chosen] for place, paths in lists.items()}, left_out


def _video(path: Path) -> Video:
    title, note = _describe(path)
    data = base64.b64encode(path.read_bytes()).decode()
    return Video(title, note, title == "Failure", f"data:video/mp4;base64,{data}", _poster(path))


def _describe(path: Path) -> tuple[str, str]:
    """Title and note from the name: failure_SEED_REASON, success_SEED, intervention_SEED, demo_SEED."""
    kind, _, rest = path.stem.partition("_")
    seed, _, reason = rest.partition("_")
    titles = {"failure": "Failure", "success": "Success", "intervention": "Intervention", "demo": "Demonstration"}
    if kind not in titles:
        return "Recorded over ROS", f"camera {path.parents[1].name.rsplit('.', 1)[-1]}"
    return titles[kind], f"seed {seed}" + (f", {reason.replace('_', ' ')}" if reason else "")


def _poster(path: Path) -> str:
    import av

    picture = None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "h264" or stream.codec_context.pix_fmt != "yuv420p":
            raise SteadyhandError(f"{path} is no H.264 video in yuv420p, browsers cannot play it; encode it anew")
        for frame in container.decode(stream):
            picture = frame
    if picture is None:
        raise SteadyhandError(f"{path} holds no picture; film the episode again")
    image = picture.to_image()
    image.thumbnail((640, 640))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
