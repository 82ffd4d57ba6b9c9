"""`steadyhand data repair`: a complete dataset or journal from what a crash has left of one."""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm
from tyro.conf import Positional

from steadyhand.data_collection.assembling import assemble
from steadyhand.data_collection.durable import new_folder
from steadyhand.data_collection.quality_data import load_recorded
from steadyhand.data_collection.repair_dataset import Wreck
from steadyhand.data_collection.repair_journal import repair_journal
from steadyhand.data_collection.schema import INFO
from steadyhand.errors import SteadyhandError


@dataclass
class RepairConfig:
    """Copy what is whole of a broken dataset or a cut-off recording into a new folder. What is given stays as it is."""

    path: Positional[Path]
    """Folder of a LeRobot v3 dataset, or an MCAP file or a folder of some."""
    output: Path
    """Folder to create."""
    like: Path | None = None
    """A dataset with the same columns and rate, if the broken one has lost its meta/info.json."""


def main(config: RepairConfig) -> int:
    """Repair a dataset or a journal."""
    if not config.path.exists():
        raise SteadyhandError(f"'{config.path}' does not exist; give the folder of a dataset or journal")
    if config.like or any((config.path / name).exists() for name in (INFO, "data", "meta")):
        repair_dataset(config)
    else:
        repair_journal(config.path, config.output)
    return 0


def repair_dataset(config: RepairConfig) -> None:
    """Write the episodes that are whole into a new dataset and say what is lost."""
    if config.output.exists():
        raise SteadyhandError(f"output folder '{config.output}' exists; choose another folder or remove it")
    wreck = Wreck(config.path, config.like)
    source = wreck.source()
    for note in wreck.notes:
        print(note)
    for episode, found in sorted(wreck.found.items()):
        if found.why:
            print(f"episode {episode}: lost: {found.why}")
    if not source.rows:
        reasons = "; ".join(dict.fromkeys(found.why for found in wreck.found.values())) or "it has no rows"
        raise SteadyhandError(f"nothing of '{config.path}' can be saved ({reasons}); its files stay as they are")
    with tqdm(total=len(source.rows), unit=" episodes", disable=None) as bar, new_folder(config.output) as folder:
        assemble(source, folder, bar)
        load_recorded(folder)
    lost = sum(bool(found.why) for found in wreck.found.values())
    print(f"{len(source.rows)} episodes saved into {config.output}, {lost} lost")
