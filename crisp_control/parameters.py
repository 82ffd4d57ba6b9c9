"""Controllers with their parameters from config/controllers/<robot>.yaml."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from steadyhand.crisp_control import _core
from steadyhand.crisp_control._core import ArmModel, Controller, ControllerParams
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.paths import config_dir

CONTROLLERS: dict[str, tuple[type[Controller], type[ControllerParams]]] = {
    "cartesian_impedance": (_core.CartesianImpedance, _core.CartesianImpedanceParams),
    "cartesian_admittance": (_core.CartesianAdmittance, _core.CartesianAdmittanceParams),
    "joint_impedance": (_core.JointImpedance, _core.JointImpedanceParams),
    "gravity_compensation": (_core.GravityCompensation, _core.GravityCompensationParams),
    "torque_feedback": (_core.TorqueFeedback, _core.TorqueFeedbackParams),
}
SHARED = "shared"  # section whose values every controller takes


def parameter_names(params: type[ControllerParams]) -> list[str]:
    """Every parameter that a controller's section may set; the shared ones last."""
    return [
        name
        for cls in params.__mro__
        for name, value in vars(cls).items()
        if not name.startswith("_") and not callable(value) and issubclass(cls, ControllerParams)
    ]


def make_controller(robot: str | Path, model: ArmModel, name: str = "cartesian_impedance") -> Controller:
    """A robot's controller with the gains of its file (``load_parameters``)."""
    if name not in CONTROLLERS:
        raise unknown("controller", name, CONTROLLERS)
    return CONTROLLERS[name][0](model, load_parameters(robot, model, name))


def load_parameters(robot: str | Path, model: ArmModel, controller: str = "cartesian_impedance") -> ControllerParams:
    """Parameters of a robot's controller; a robot without a file gets the core's careful defaults.

    robot: a name in config/controllers, or the path of such a file.
    """
    params = CONTROLLERS[controller][1](model)
    path = gains_file(robot)
    sections = read_gains(path)
    for section in (SHARED, controller):
        apply_parameters(params, sections.get(section) or {}, f"{path}: {section}", model)
    return params


def apply_parameters[P: ControllerParams](params: P, values: Mapping, source: Path | str, model: ArmModel) -> P:
    """Set parameters by name and check them; every mistake is a SteadyhandError that names ``source``."""
    names = parameter_names(type(params))
    for name, value in values.items():
        if name not in names:
            raise unknown("controller parameter", name, names, f"fix {source}")
        try:
            setattr(params, name, np.asarray(value, dtype=float) if isinstance(value, list) else value)
        except (TypeError, ValueError) as error:
            reason = str(error) if str(error).startswith("controller parameter") else "has the wrong type or length"
            raise SteadyhandError(f"{source}: '{name}: {value}' {reason}") from None
    try:
        params.validate(model)
    except ValueError as error:
        raise SteadyhandError(f"{source}: {error}") from None
    return params


def gains_file(robot: str | Path) -> Path:
    """The file of a robot's gains."""
    return robot if isinstance(robot, Path) else config_dir() / "controllers" / f"{robot}.yaml"


def read_gains(path: Path) -> dict[str, dict]:
    """The sections of a gains file; none if there is no such file."""
    if not path.is_file():
        return {}
    try:
        sections = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SteadyhandError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    allowed = (SHARED, *CONTROLLERS)
    if not isinstance(sections, dict) or not all(isinstance(value, dict | None) for value in sections.values()):
        raise SteadyhandError(f"{path}: needs sections ({', '.join(allowed)}) of 'name: value' lines")
    for section in sections:
        if section not in allowed:
            raise unknown("section", section, allowed, f"fix {path}")
    return sections
