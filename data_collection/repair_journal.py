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
    _require_names(path, found)
    counts = {"whole": 0, "repaired": 0, "empty": 0}
    with new_folder(output) as folder:
        for episode in found:
            counts[_repair(episode, folder)] += 1
        for journal in journals:
            (folder / ".lock").touch()
            if (journal / LABELS).exists():
                shutil.copyfile(journal / LABELS, folder / LABELS)
        if not counts["whole"] + counts["repaired"]:
            raise SteadyhandError(f"'{path}' holds no message that can be read; its files stay as they are")
    print(
        f"{counts['repaired']} episodes repaired into {output}, {counts['whole']} were whole, {counts['empty']} empty"
    )


def _is_whole(episode: Episode) -> bool:
    return episode.state is State.FINISHED and (episode.file.parent / "metadata.yaml").exists()


def _new_name(episode: Episode) -> str:
    """Of the bag that the episode becomes: that of its folder, or of its file if it is written anew from others'."""
    bag = episode.file.parent.name
    return bag if episode.metadata or _is_whole(episode) else episode.file.stem.removesuffix("_0")


def _require_names(path: Path, found: list[Episode]) -> None:
    """Refuse what would become two bags of one name; the files of a whole bag, which others split, become one."""
    sources: dict[str, set[Path]] = {}
    for episode in found:
        sources.setdefault(_new_name(episode), set()).add(episode.file.parent if _is_whole(episode) else episode.file)
    for name, bags in sources.items():
        if len(bags) > 1:
            raise SteadyhandError(f"'{path}' holds several bags named {name}; repair one folder at a time")


def _repair(episode: Episode, folder: Path) -> str:
    if episode.state is State.RECORDING:
        raise SteadyhandError(f"{episode.name} is being recorded; repair it when that has ended")
    bag = episode.file.parent
    if _is_whole(episode):
        if not (folder / bag.name).exists():  # others split a bag into several files
            shutil.copytree(bag, folder / bag.name)
        return "whole"
    name = _new_name(episode)
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
