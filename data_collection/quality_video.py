"""Does every row of a dataset have its image?"""

from collections import defaultdict
from pathlib import Path

from steadyhand.data_collection.quality_data import Found, NotApplicableError, Recorded, Verdict
from steadyhand.data_collection.stage import count_images

_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


def check_videos(recorded: Recorded) -> Found:
    """Rows against the span of an episode in its video files, and these files against the images in them.

    A recorder whose encoder lost images saves a video that is too short, and everything behind the lost images shows
    an earlier row. Where a file holds several episodes and none says that it is short, all of them are in doubt.
    """
    cameras = cameras_of(recorded.info)
    if not cameras:
        raise NotApplicableError("no videos")
    for camera in cameras:
        files = defaultdict(list)
        for episode, row in enumerate(recorded.rows):
            files[video_file(recorded.path, recorded.info, camera, row)].append(episode)
        for file, episodes in files.items():
            yield from _check_file(recorded, camera, file, episodes)


def cameras_of(info: dict) -> list[str]:
    """The columns of a dataset that are videos."""
    return [name for name, feature in info["features"].items() if feature["dtype"] == "video"]


def video_file(path: Path, info: dict, camera: str, row: dict) -> Path:
    """The file that holds an episode's video; `row` is that of meta/episodes."""
    numbers = {key: row.get(f"videos/{camera}/{key}") or 0 for key in ("chunk_index", "file_index")}
    pattern = info.get("video_path") or _PATH
    return path / pattern.format(video_key=camera, **numbers)


def _check_file(recorded: Recorded, camera: str, file: Path, episodes: list[int]) -> Found:
    found = images_in(file)
    if isinstance(found, str):
        for episode in episodes:
            yield episode, Verdict.EXCLUDE, f"{camera}: {found}"
        return
    expected = 0
    for episode in episodes:
        row = recorded.rows[episode]
        begin, end = (row.get(f"videos/{camera}/{key}") for key in ("from_timestamp", "to_timestamp"))
        span = row["length"] if begin is None or end is None else round((end - begin) * recorded.fps)
        expected += span
        if span != row["length"]:
            yield episode, Verdict.EXCLUDE, f"{camera}: {span} images for {row['length']} frames"
    if found != expected:
        verdict = Verdict.EXCLUDE if len(episodes) == 1 else Verdict.REVIEW
        for episode in episodes:
            yield episode, verdict, f"{camera}: {file.name} holds {found} images where {expected} should be"


def images_in(file: Path) -> int | str:
    """Images in a video file, or what is wrong with it."""
    import av

    if not file.is_file():
        return f"no file {file.name}"
    try:
        return count_images(file)
    except (OSError, av.FFmpegError, IndexError):
        return f"{file.name} cannot be read"
