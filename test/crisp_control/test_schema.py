"""parameters.yaml against the C++ core, and what is made of it against generate_parameter_library's rules."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from steadyhand.crisp_control import schema
from steadyhand.crisp_control.parameters import CONTROLLERS, parameter_names
from steadyhand.sim.robot import load_robot

ROOT = Path(schema.__file__).resolve().parents[1]
SECTIONS = schema.load()
PARAMETERS = [(controller, name) for controller in schema.CONTROLLERS for name in SECTIONS[controller]]


@pytest.fixture(scope="module")
def robot():
    return load_robot("fr3")


@pytest.fixture(scope="module")
def arm(robot):
    return robot.arm()


# --- the description and the core ---


def test_the_description_knows_the_controllers_and_parameters_of_the_core():
    assert tuple(CONTROLLERS) == schema.CONTROLLERS
    for controller, (_, params) in CONTROLLERS.items():
        assert set(SECTIONS[controller]) == set(parameter_names(params))


@pytest.mark.parametrize(("controller", "name"), PARAMETERS)
def test_the_defaults_are_those_of_the_core(controller, name, arm, robot):
    parameter = SECTIONS[controller][name]
    value = getattr(CONTROLLERS[controller][1](arm), name)
    effort = np.array(robot.tau_limit)
    from_urdf = {
        "urdf <limit effort>": effort,
        "urdf <limit effort> per rad": effort,
        "urdf <limit effort> / 5": effort / 5,
        "urdf <dynamics friction>": arm.friction,
        "urdf <dynamics damping>": arm.damping,
    }
    if parameter.type in ("bool", "string"):
        assert value == parameter.default
    elif parameter.type == "joints":
        np.testing.assert_allclose(value, from_urdf.get(parameter.default, parameter.default) * np.ones(7), rtol=1e-12)
    else:
        np.testing.assert_array_equal(np.ravel(value), np.ravel(parameter.default))


def bounds(controller: str):
    for name, parameter in SECTIONS[controller].items():
        for kind, bound in (
            ("at_least", parameter.at_least),
            ("above", parameter.above),
            ("at_most", parameter.at_most),
        ):
            if bound is not None:
                yield name, kind, bound


@pytest.mark.parametrize("controller", schema.CONTROLLERS)
def test_the_core_refuses_just_beyond_every_bound(controller, arm):
    for name, kind, bound in bounds(controller):
        limits = getattr(CONTROLLERS[controller][1](arm), bound) if isinstance(bound, str) else float(bound)
        for index in numbers_of(getattr(CONTROLLERS[controller][1](arm), name)):
            limit = float(limits if np.ndim(limits) == 0 else limits[index])
            beyond = math.nextafter(limit, math.inf if kind == "at_most" else -math.inf)
            outside = limit if kind == "above" else beyond
            with pytest.raises(ValueError, match=f"'{name}'"):
                changed(controller, arm, name, index, outside).validate(arm)
            # Others may forbid it as well (a joint range, a tank's content): then not this parameter is blamed.
            inside = math.nextafter(limit, math.inf) if kind == "above" else limit
            assert f"'{name}'" not in refusal(changed(controller, arm, name, index, inside), arm)


@pytest.mark.parametrize(("controller", "name"), PARAMETERS)
def test_the_core_refuses_what_is_no_number_and_infinity_where_the_description_does(controller, name, arm):
    parameter = SECTIONS[controller][name]
    if parameter.type in ("bool", "string", "planes"):
        return
    for index in numbers_of(getattr(CONTROLLERS[controller][1](arm), name)):
        with pytest.raises(ValueError, match="controller parameter"):
            changed(controller, arm, name, index, math.nan).validate(arm)
        infinite = changed(controller, arm, name, index, math.inf)
        if not parameter.infinite:
            with pytest.raises(ValueError, match=f"'{name}'"):
                infinite.validate(arm)
        elif name != "workspace_lower":  # a lower corner at +inf leaves no room
            infinite.validate(arm)


def numbers_of(value) -> range:
    return range(np.size(value))


def changed(controller: str, arm, name: str, index: int, number: float):
    """Default parameters with one number changed."""
    params = CONTROLLERS[controller][1](arm)
    value = getattr(params, name)
    if np.ndim(value):
        value = np.array(value)
        value[index] = number
        setattr(params, name, value)
    else:
        setattr(params, name, number)
    return params


def refusal(params, arm) -> str:
    try:
        params.validate(arm)
    except ValueError as error:
        return str(error)
    return ""


# --- the documentation ---


def test_the_parameter_page_is_up_to_date():
    made = schema.docs()
    assert (ROOT / "docs" / "parameters.md").read_text() == made, (
        "python crisp_control/schema.py docs > docs/parameters.md"
    )


# --- mistakes ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "number"}, "has the type 'number'; allowed: bool, double"),
        ({"default": 1}, "needs a default with a decimal point"),
        ({"at_least": "nothing"}, "is bounded by 'nothing', which is no parameter"),
        ({"type": "vector3"}, "needs a default of 3 numbers"),
        ({"ros": ["a", "b"]}, "has 2 ROS names for 1 numbers"),
        ({"comment": "x"}, "has a key 'comment'; allowed: "),
    ],
)
def test_a_mistake_in_the_description_is_refused_by_name(change, reason, tmp_path):
    path = tmp_path / "parameters.yaml"
    entry = {"type": "double", "meaning": "m", "default": 1.0} | change
    path.write_text(yaml.safe_dump({"shared": {"mass": entry}}))
    with pytest.raises(schema.SchemaError, match="'mass'") as error:
        schema.load(path)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gpl", "pid"], "unknown plug-in 'pid'; allowed: cartesian_impedance, "),
        (["convert", "pid"], "unknown plug-in 'pid'"),
        (["ros", "fr3", "pid"], "unknown plug-in 'pid'; allowed: cartesian_impedance, "),
        (["ros", "hal", "joint_impedance"], "unknown robot 'hal'; allowed: fr3, "),
    ],
)
def test_unknown_names_are_one_line_and_status_2(arguments, words):
    command = [sys.executable, "-m", "steadyhand.crisp_control.schema", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
