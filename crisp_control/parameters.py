"""Controller parameters from config/controllers/<robot>.yaml."""

from pathlib import Path

import numpy as np
import yaml

from steadyhand.crisp_control._core import ArmModel, CartesianImpedanceParams
from steadyhand.errors import SteadyhandError, unknown
from steadyhand.paths import config_dir


def parameter_names() -> list[str]:
    """Every parameter a controller file may set."""
    return [
        name
        for name, value in vars(CartesianImpedanceParams).items()
        if not name.startswith("_") and not callable(value)
    ]


def load_parameters(robot: str, model: ArmModel) -> CartesianImpedanceParams:
    """Parameters of a robot's controller; a robot without a file gets the core's careful defaults."""
    params = CartesianImpedanceParams(model)
    path = config_dir() / "controllers" / f"{robot}.yaml"
    if not path.is_file():
        return params
    return apply_parameters(params, _read(path), path, model)


def apply_parameters(
    params: CartesianImpedanceParams, values: dict, source: Path | str, model: ArmModel
) -> CartesianImpedanceParams:
    """Set parameters by name and check them; every mistake is a SteadyhandError that names ``source``."""
    names = parameter_names()
    for name, value in values.items():
        if name not in names:
            raise unknown("controller parameter", name, names, f"fix {source}")
        try:
            setattr(params, name, np.asarray(value, dtype=float) if isinstance(value, list) else value)
        except (TypeError, ValueError):
            raise SteadyhandError(f"{source}: '{name}: {value}' has the wrong type or length") from None
    try:
        params.validate(model.n)
    except ValueError as error:
        raise SteadyhandError(f"{source}: {error}") from None
    return params


def _read(path: Path) -> dict:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SteadyhandError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SteadyhandError(f"{path}: needs 'name: value' lines")
    return values
