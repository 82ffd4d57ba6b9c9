"""Everything that touches the inside of LeRobot's writer (0.6.1), in one place."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from steadyhand.errors import SteadyhandError

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
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    av.logging.set_libav_level(av.logging.WARNING)  # else the encoder writes 10 lines about every episode
    video = {
        "rgb_encoder": _encoder(),
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
    dataset.writer._save_image = _save_depth  # the only images that are no video
    dataset.meta.info.data_files_size_in_mb = _FILE_PER_EPISODE_MB
    dataset.meta.info.video_files_size_in_mb = _FILE_PER_EPISODE_MB
    return dataset


def _encoder():
    """How every film is encoded."""
    from lerobot.configs import RGBEncoderConfig

    # Measured: the fastest on a CPU. LeRobot's "auto" may choose a hardware encoder that is not there.
    return RGBEncoderConfig(vcodec="h264", preset="veryfast", crf=23)


def encode_depth(image: np.ndarray) -> bytes:
    """Depth (H, W, 1) uint16 as a TIFF file without loss.

    Measured with the noise of a stereo camera, 640x480: 5 ms and 207 kB; LeRobot's own raw TIFF has 614 kB.
    """
    done, data = cv2.imencode(".tiff", image, [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW])
    if not done:
        raise RuntimeError(f"OpenCV could not encode depth {image.shape}")
    return data.tobytes()


def decode_depth(data: bytes) -> np.ndarray:
    """The inverse of ``encode_depth``."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None  # it comes from `encode_depth`
    return image[..., None]


def _save_depth(image: np.ndarray, file: Path, _compress_level: int) -> None:
    file.write_bytes(encode_depth(image))


Film = tuple[Path, dict]
"""A film of one camera and episode: file in a folder of its own, statistics as LeRobot's encoder makes them."""


class Filming:
    """Encodes the films of one episode elsewhere, as a stage would."""

    def __init__(self, cameras: list[str], fps: int, folder: Path) -> None:
        """Begin. cameras: their columns; folder: gets a folder for every film."""
        import av
        from lerobot.datasets.video_utils import StreamingVideoEncoder

        av.logging.set_libav_level(av.logging.WARNING)
        self._encoder = StreamingVideoEncoder(fps, _encoder(), queue_maxsize=QUEUED_IMAGES, encoder_threads=1)
        self._encoder.start_episode(cameras, folder)

    def add(self, images: dict) -> None:
        """Append an image (H, W, 3) uint8 of every camera; waits for the encoder."""
        _wait_for(self._encoder)
        try:
            for camera, image in images.items():
                self._encoder.feed_frame(camera, image)
        except RuntimeError as error:
            raise SteadyhandError(f"video encoder failed: {error}") from None

    def finish(self) -> dict[str, Film]:
        """The films by camera; SteadyhandError if the encoder failed."""
        try:
            films = self._encoder.finish_episode()
        except RuntimeError as error:
            raise SteadyhandError(f"video encoder failed: {error}") from None
        return {camera: film for camera, film in films.items() if film[1] is not None}

    def cancel(self) -> None:
        """Stop, and remove the files."""
        self._encoder.cancel_episode()


class _Finished:
    """Stands in for LeRobot's encoder where the films are finished already: images that come are ignored."""

    def __init__(self, films: Mapping[str, Film]) -> None:
        self._films = dict(films)
        self._dropped_frames: dict[str, int] = {}
        self._frame_queues: dict = {}

    def start_episode(self, *_: object, **__: object) -> None:
        pass

    def feed_frame(self, *_: object) -> None:
        pass

    def finish_episode(self) -> dict[str, Film]:
        return self._films

    def cancel_episode(self) -> None:
        pass

    def close(self) -> None:
        pass


def take_films(dataset, films: Mapping[str, Film]) -> None:
    """Use these for the episode that begins instead of encoding its images."""
    if films:
        dataset.writer._streaming_encoder = _Finished(films)


def count_frames(dataset) -> int:
    """Return the frames of the unfinished episode."""
    return dataset.writer.episode_buffer["size"]


def lost_images(dataset) -> list[str]:
    """Return the cameras of which the encoder dropped an image; LeRobot itself only logs that."""
    encoder = dataset.writer._streaming_encoder
    return [camera for camera, lost in encoder._dropped_frames.items() if lost] if encoder else []


def wait_for_encoder(dataset) -> None:
    """Wait until the encoder can take an image of every camera, or has died."""
    if dataset.writer._streaming_encoder is not None:
        _wait_for(dataset.writer._streaming_encoder)


def _wait_for(encoder) -> None:
    for camera, waiting in encoder._frame_queues.items():
        while waiting.full() and encoder._threads[camera].is_alive():
            time.sleep(0.002)


def save(dataset) -> None:
    """Save the episode into complete, closed files."""
    with _embedding_at_once():
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
def _embedding_at_once():
    """Put image files into the parquet file all at once: LeRobot does it row by row.

    Without images that took two thirds of the time of a save (60 of 95 ms).
    """
    from lerobot.datasets import dataset_writer

    original, dataset_writer.embed_images = dataset_writer.embed_images, _embed
    try:
        yield
    finally:
        dataset_writer.embed_images = original


def _embed(rows):
    import datasets
    from datasets.table import embed_table_storage

    return datasets.Dataset(embed_table_storage(rows.data.table), info=rows.info, split=rows.split)
