"""Recordings that a crash has cut off, written anew as complete bags: MCAP with an index, and metadata.yaml."""

import shutil
from pathlib import Path

from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.journal import LABELS
from steadyhand.data_collection.journal_process import EpisodeFile
from steadyhand.data_collection.journal_reading import REPAIRED, Episode, Messages, State, episodes
from steadyhand.errors import SteadyhandError


def repair_journal(path: Path, output: Path) -> None:
    """Copy what is whole, write anew what is cut off, and say what is lost of it."""
    found = episodes(path)
    journals = {episode.file.parent.parent for episode in found if episode.metadata}
    if len(journals) > 1:
        raise SteadyhandError(f"'{path}' holds several journals; repair one at a time")
    bags = _whole_bags(found)
    _require_names(path, found, bags)
    counts = {"whole": 0, "repaired": 0, "empty": 0}
    with new_folder(output) as folder:
        for episode in found:
            counts[_repair(episode, folder, episode.file.parent in bags)] += 1
        for journal in journals:
            (folder / ".lock").touch()
            if (journal / LABELS).exists():
                shutil.copyfile(journal / LABELS, folder / LABELS)
        if not counts["whole"] + counts["repaired"]:
            raise SteadyhandError(f"'{path}' holds no message that can be read; its files stay as they are")
    print(
        f"{counts['repaired']} episodes repaired into {output}, {counts['whole']} were whole, {counts['empty']} empty"
    )


def _whole_bags(found: list[Episode]) -> set[Path]:
    """Folders of bags in which no file is cut off."""
    broken = {episode.file.parent for episode in found if episode.state is not State.FINISHED}
    return {bag for episode in found if ((bag := episode.file.parent) / "metadata.yaml").exists()} - broken


def _new_name(episode: Episode, whole: bool) -> str:
    """Of the bag that the episode becomes: that of its folder, or of its file if it is written anew from others'."""
    return episode.file.parent.name if episode.metadata or whole else episode.file.stem.removesuffix("_0")


def _require_names(path: Path, found: list[Episode], bags: set[Path]) -> None:
    """Refuse what would become two bags of one name; the files of a whole bag, which others split, stay one."""
    sources: dict[str, set[Path]] = {}
    for episode in found:
        whole = episode.file.parent in bags
        sources.setdefault(_new_name(episode, whole), set()).add(episode.file.parent if whole else episode.file)
    for name, files in sources.items():
        if len(files) > 1:
            raise SteadyhandError(f"'{path}' holds several bags named {name}; repair one folder at a time")


def _repair(episode: Episode, folder: Path, whole: bool) -> str:
    if episode.state is State.RECORDING:
        raise SteadyhandError(f"{episode.name} is being recorded; repair it when that has ended")
    bag = episode.file.parent
    if whole:
        if not (folder / bag.name).exists():  # others split a bag into several files
            shutil.copytree(bag, folder / bag.name)
        return "whole"
    name = _new_name(episode, whole)
    new, messages, count = EpisodeFile(folder / name, episode.metadata), Messages(episode), 0
    for schema, channel, message in messages.records():
        if schema is None or (channel.message_encoding, schema.encoding) != ("cdr", "ros2msg"):
            raise SteadyhandError(f"'{episode.file}': {channel.topic} holds no ROS 2 messages (cdr, ros2msg)")
        text = schema.data.decode()
        new.write(channel.topic, schema.name, text, message.log_time, message.publish_time, message.data)
        count += 1
    new.note(REPAIRED, {"identity": episode.identity})
    new.finish(episode.label)
    if not count:
        shutil.rmtree(folder / name)
    print(f"{episode.name}: {count} messages saved{'; ' if messages.lost else ''}{messages.lost}")
    return "repaired" if count else "empty"
