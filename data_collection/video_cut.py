"""Taking episodes out of a video file without encoding anything again."""

import shutil
from pathlib import Path

import av

from steadyhand.data_collection.stage import count_images


def copy_frames(source: Path, target: Path, spans: list[tuple[int, int]], fps: float) -> list[int]:
    """Copy stretches of a video file, one after the other.

    An episode that a recorder has encoded by itself begins with a key frame and refers to no other: its packets are
    copied as they are. Where that is not so, or everything is wanted, the whole file is copied.

    Args:
        source: Video file.
        target: File to write.
        spans: First frame and one past the last of every stretch, in ascending order.
        fps: Frames per second.

    Returns:
        For every stretch its first frame in the new file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    wanted = sum(stop - start for start, stop in spans)
    if count_images(source) != wanted and (cuts := _cuts(source, spans)) is not None:
        _remux(source, target, cuts, fps)
        if count_images(target) == wanted:
            starts = [0]
            for start, stop in spans[:-1]:
                starts.append(starts[-1] + stop - start)
            return starts
    shutil.copyfile(source, target)
    return [start for start, _ in spans]


def _cuts(source: Path, spans: list[tuple[int, int]]) -> dict[int, int] | None:
    """For every packet to copy, by its place in the file, its frame in the new one; None if that cannot be done."""
    with av.open(str(source)) as video:
        packets = [(p.pts, p.is_keyframe) for p in video.demux(video.streams.video[0]) if p.pts is not None]
    rank = {pts: frame for frame, pts in enumerate(sorted(pts for pts, _ in packets))}
    cuts: dict[int, int] = {}
    for start, stop in spans:
        places = [i for i, (pts, _) in enumerate(packets) if start <= rank[pts] < stop]
        if len(places) != stop - start or places != list(range(places[0], places[-1] + 1)):
            return None
        pts, is_key = packets[places[0]]
        if not is_key or rank[pts] != start:
            return None
        first = len(cuts)
        cuts |= {i: first + rank[packets[i][0]] - start for i in places}
    return cuts


def _remux(source: Path, target: Path, cuts: dict[int, int], fps: float) -> None:
    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        stream = video.streams.video[0]
        new, base = output.add_stream_from_template(stream), stream.time_base
        assert base is not None
        for i, packet in enumerate(p for p in video.demux(stream) if p.pts is not None):
            if i in cuts and packet.pts is not None:
                delay = 0 if packet.dts is None else packet.pts - packet.dts
                packet.pts = round(cuts[i] / fps / base)
                packet.dts = packet.pts - delay
                packet.stream = new
                output.mux(packet)
