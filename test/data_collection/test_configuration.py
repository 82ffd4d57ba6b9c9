"""What an episode was recorded with: kept once per content, carried along by every command."""

import hashlib
import json

import pytest
import recording
import yaml

from steadyhand.crisp_control.parameters import CONTROLLERS
from steadyhand.crisp_control.ros_parameters import parameter_file, twin_parameters
from steadyhand.crisp_control.schema import load
from steadyhand.data_collection.collect import configuration_of
from steadyhand.data_collection.configuration import (
    CONFIGURATION,
    Configuration,
    Document,
    differences,
    from_journal,
    parameters_document,
)
from steadyhand.data_collection.dataset import EpisodeInfo, describe, load_sidecar
from steadyhand.data_collection.journal import Journal
from steadyhand.data_collection.journal_reading import episodes
from steadyhand.data_collection.listing import PlaceConfig, show
from steadyhand.data_collection.merging import merge
from steadyhand.data_collection.repair import RepairConfig, repair_dataset
from steadyhand.data_collection.ros_journal import Tap
from steadyhand.data_collection.ros_sink import Sink
from steadyhand.data_collection.sidecar import last_documents, read_rows, write_rows
from steadyhand.data_collection.split import SplitConfig
from steadyhand.data_collection.split import main as split
from steadyhand.errors import SteadyhandError
from steadyhand.sim.env import World
from steadyhand.sim.robot import load_robot


def controller(stiffness: float) -> Document:
    return parameters_document({"/arm": {"task.k_pos_x": stiffness, "hold_after": 0.5, "workspace_lower": [-1e999]}})


ARM = Document("<robot name='arm'/>", "urdf")
SOFT, STIFF = ({"description": ARM, "controller": controller(value)} for value in (200.0, 800.0))
CHANGED = Configuration(SOFT, ((1.5, "controller", STIFF["controller"]),))


def record(writer, *configurations: Configuration) -> None:
    for configuration in configurations:
        for i in range(3):
            writer.add_frame(recording.frame(recording.PLAIN, writer.episodes, i))
        writer.save_episode(EpisodeInfo(True, "success", rules={"rewind": True}, configuration=configuration))


def files(path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (path / CONFIGURATION).glob("*")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four episodes: nothing is known, soft, stiff, made stiff meanwhile."""
    path = tmp_path_factory.mktemp("configured") / "data"
    with recording.open_writer(path) as writer:
        record(writer, Configuration(), Configuration(SOFT))
    with recording.open_writer(path, resume=True) as writer:
        record(writer, Configuration(STIFF), CHANGED)
    return path


def test_a_text_is_kept_once_under_its_hash_and_named_by_every_episode(dataset):
    soft, stiff = SOFT["controller"], STIFF["controller"]
    assert files(dataset) == {document.name: document.text for document in (ARM, soft, stiff)}
    for name, text in files(dataset).items():
        assert name.partition(".")[0] == hashlib.sha256(text.encode()).hexdigest()
    rows = load_sidecar(dataset)
    assert [row["configuration"] for row in rows] == [
        {},
        {"description": ARM.name, "controller": soft.name},
        {"description": ARM.name, "controller": stiff.name},
        {"description": ARM.name, "controller": soft.name, "changes": [[1.5, "controller", stiff.name]]},
    ]
    limits = {"/arm": {"hold_after": 0.5, "workspace_lower": ["-inf"]}}
    assert [row["rules"] for row in rows] == [{"rewind": True}, *[{"rewind": True, "safety": limits}] * 3]
    assert describe(dataset)["configuration"]["controller"] == {soft.name: 2, stiff.name: 1}
    assert last_documents(dataset) == SOFT


def test_what_changed_since_the_last_episode_is_told():
    assert differences(SOFT, STIFF) == ["controller: 'task.k_pos_x: 200.0' -> 'task.k_pos_x: 800.0'"]
    assert differences(SOFT, SOFT) == []
    more = {"controller": parameters_document({"/arm": {"hold_after": 1.0}})}
    assert differences(SOFT, more) == [
        "controller: 'hold_after: 0.5' -> 'hold_after: 1.0' and 2 more lines",
        "description is unknown now",
    ]


def test_a_file_goes_with_the_episode_that_brought_it(tmp_path):
    with recording.open_writer(tmp_path / "data") as writer:
        record(writer, Configuration(SOFT), Configuration(STIFF))
        writer.take_back()
        assert set(files(tmp_path / "data")) == {ARM.name, SOFT["controller"].name}
        writer.bring_back()
        assert STIFF["controller"].name in files(tmp_path / "data")
        writer.take_back()
        record(writer, Configuration(STIFF))
    assert STIFF["controller"].name in files(tmp_path / "data")


def test_split_and_merge_carry_what_their_episodes_name(dataset, tmp_path):
    split(SplitConfig(dataset, tmp_path / "some", rest=tmp_path / "rest", episodes="1"))
    assert set(files(tmp_path / "some")) == {ARM.name, SOFT["controller"].name}
    assert files(tmp_path / "rest") == files(dataset)
    merge([tmp_path / "some", tmp_path / "rest"], tmp_path / "all")
    assert files(tmp_path / "all") == files(dataset)
    told = [row["configuration"] for row in load_sidecar(dataset)]
    assert [row["configuration"] for row in load_sidecar(tmp_path / "all")] == [told[1], told[0], *told[2:]]


def test_a_lost_file_is_named_and_repair_goes_on_without_it(dataset, tmp_path, capsys):
    split(SplitConfig(dataset, tmp_path / "data", episodes="1-3"))
    lost = STIFF["controller"].name
    (tmp_path / "data" / CONFIGURATION / lost).write_text("something else")
    for command in (
        lambda: split(SplitConfig(tmp_path / "data", tmp_path / "some", episodes="0-1")),
        lambda: merge([tmp_path / "data"], tmp_path / "some"),
    ):
        with pytest.raises(SteadyhandError, match=f"has lost .*{lost}.*data repair"):
            command()
        assert not (tmp_path / "some").exists()
    repair_dataset(RepairConfig(tmp_path / "data", tmp_path / "whole"))
    assert f"{lost} is lost" in capsys.readouterr().out
    assert [sorted(row["configuration"]) for row in load_sidecar(tmp_path / "whole")] == [
        ["controller", "description"], ["description"], ["controller", "description"],
    ]  # fmt: skip
    assert set(files(tmp_path / "whole")) == {ARM.name, SOFT["controller"].name}


def test_names_that_lead_elsewhere_are_not_followed(dataset, tmp_path):
    split(SplitConfig(dataset, tmp_path / "data", episodes="0"))
    (tmp_path / "secret").write_text("secret")
    (row,) = read_rows(tmp_path / "data")
    write_rows(
        [row | {"configuration": json.dumps({"controller": "../../../../secret"})}],
        tmp_path / "data/meta/steadyhand/episodes.parquet",
    )
    merge([tmp_path / "data"], tmp_path / "all")
    assert files(tmp_path / "all") == {}
    assert last_documents(tmp_path / "data") == {}


def test_a_journal_carries_the_texts(tmp_path, capsys):
    with Journal(tmp_path, reserve=0) as journal:
        sink = Sink("go", None, Tap(None, journal), {"robot": "fr3"})
        sink.begin(1.0, Configuration(SOFT))
        sink.save(EpisodeInfo(True, "success", configuration=CHANGED), 2.0)
    (episode,) = episodes(tmp_path)
    assert from_journal(episode.metadata, episode.label) == CHANGED
    show(PlaceConfig(tmp_path))
    assert f"controller {SOFT['controller'].name[:8]}, controller changed after 1.5 s" in capsys.readouterr().out
    assert from_journal({}, {}) == Configuration()
    with pytest.raises(SteadyhandError, match="cannot be read"):
        from_journal({"configuration": {"controller": ["sh", "rm"]}}, {})


def test_the_twin_says_what_it_is_made_of():
    world = World.load("fr3", "reach")
    found = configuration_of(world)
    assert found == configuration_of(World.load("fr3", "reach"))
    assert found.documents["description"].text == load_robot("fr3").urdf_xml
    assert yaml.safe_load(found.documents["robot"].text)["gripper"]["max_opening"] == world.robot.gripper.max_opening
    other = configuration_of(World.load("fr3", "peg_insertion"))
    assert differences(found.documents, other.documents)[0].startswith("scene: ")
    assert len(differences(found.documents, other.documents)) == 1
    assert found.safety()["/twin"]["torque_limit"] == list(world.robot.tau_limit)
    pair = configuration_of(World.load("fr3", "handover"))
    assert set(yaml.safe_load(pair.documents["controller"].text)) == {"/left/twin", "/right/twin"}
    assert pair.documents["left_description"] == found.documents["description"]


@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_parameters_of_the_twin_are_those_of_the_arm(name):
    parameters = load()[name].values()
    on_the_arm = yaml.safe_load(parameter_file("fr3", name, parameters))[f"/**/{name}"]["ros__parameters"]
    twin = twin_parameters(load_robot("fr3"), name)
    assert twin["use_gravity_compensation"]  # the arm's firmware adds it, the twin has none
    of_the_arm = on_the_arm.keys() - {"type", "use_gravity_compensation"}
    assert {key: twin[key] for key in of_the_arm} == {key: on_the_arm[key] for key in of_the_arm}
    assert {ros for parameter in parameters for ros in parameter.ros} <= twin.keys()
