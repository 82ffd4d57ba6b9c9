"""`steadyhand data merge`: one dataset of several."""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm
from tyro.conf import Positional

from steadyhand.data_collection.merging import merge
from steadyhand.data_collection.schema import read_info


@dataclass
class MergeConfig:
    """Copy the episodes of several datasets of one robot, rate and schema into a new one; they stay as they are."""

    datasets: Positional[list[Path]]
    """Folders of LeRobot v3 datasets; where some lack `segment` or `intervention`, these are added."""
    output: Path
    """Folder to create: complete, or not at all."""


def main(config: MergeConfig) -> int:
    """Merge."""
    with tqdm(total=len(config.datasets), unit=" datasets", disable=None) as bar:
        merge(config.datasets, config.output, lambda _: bar.update())
    info = read_info(config.output)
    print(f"{config.output}: {info['total_episodes']} episodes, {info['total_frames']} frames")
    return 0
