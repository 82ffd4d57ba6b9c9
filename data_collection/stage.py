"""Everything that touches the inside of LeRobot's writer (0.6.1), in one place."""

import contextlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

_FILE_PER_EPISODE_MB = 1e-6  # smaller than any file: LeRobot then starts a new one for every episode
QUEUED_IMAGES = 64  # per camera, at most: 6 s at 10 Hz for the encoder to catch up


def open_stage(stage: Path, source: Path, committed: Iterable[Path], **new):
    """Open a LeRobot dataset for writing in an own folder.

    Args:
        stage: The folder, absent so far.
        source: Dataset to continue.
        committed: Its files that LeRobot needs to continue (relative paths); none of them for a new dataset.
        new: Arguments of `LeRobotDataset.create` for a new dataset.
    """
    import av
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    av.logging.set_libav_level(av.logging.WARNING)  # else the encoder writes 10 lines about every episode
    video = {
        # Measured: the fastest on a CPU. LeRobot's "auto" may choose a hardware encoder that is not there.
        "rgb_encoder": RGBEncoderConfig(vcodec="h264", preset="veryfast", crf=23),
        "video_backend": "pyav",
        "encoder_threads": 1,
        "streaming_encoding": True,
        "encoder_queue_maxsize": QUEUED_IMAGES,
    }
    if committed:
        for file in committed:
            (stage / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, stage / file)
        dataset = LeRobotDataset.resume(source.name, root=stage, **video)
        dataset.meta._metadata_buffer_size = 1
    else:
        dataset = LeRobotDataset.create(source.name, root=stage, metadata_buffer_size=1, **new, **video)
    dataset.meta.info.data_files_size_in_mb = _FILE_PER_EPISODE_MB
    dataset.meta.info.video_files_size_in_mb = _FILE_PER_EPISODE_MB
    return dataset


def count_frames(dataset) -> int:
    """Return the frames of the unfinished episode."""
    return dataset.writer.episode_buffer["size"]


def lost_images(dataset) -> list[str]:
    """Return the cameras of which the encoder dropped an image; LeRobot itself only logs that."""
    encoder = dataset.writer._streaming_encoder
    return [camera for camera, lost in encoder._dropped_frames.items() if lost] if encoder else []


def wait_for_encoder(dataset) -> None:
    """Wait until the encoder can take an image of every camera, or has died."""
    encoder = dataset.writer._streaming_encoder
    for camera, waiting in encoder._frame_queues.items() if encoder else ():
        while waiting.full() and encoder._threads[camera].is_alive():
            time.sleep(0.002)


def save(dataset) -> None:
    """Save the episode into complete, closed files."""
    with _without_embedding_images():
        dataset.save_episode()
    dataset.writer.close_writer()
    dataset.meta._close_writer()


def drop(dataset) -> None:
    """End the threads and files of a dataset in an unknown state; its folder can be removed afterwards."""
    with contextlib.suppress(Exception):
        dataset.clear_episode_buffer()
        dataset.finalize()


def count_images(file: Path) -> int:
    """Return the number of images in a video file, from its header."""
    import av

    video = av.open(str(file))
    try:
        return video.streams.video[0].frames
    finally:
        video.close()


@contextlib.contextmanager
def _without_embedding_images():
    """Skip a step of LeRobot's save that does nothing here and takes two thirds of its time (60 of 95 ms).

    `embed_images` walks over every row to put image files into the parquet file; our images are video.
    """
    from lerobot.datasets import dataset_writer

    original, dataset_writer.embed_images = dataset_writer.embed_images, lambda rows: rows
    try:
        yield
    finally:
        dataset_writer.embed_images = original
