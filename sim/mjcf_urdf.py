"""Writing a compiled MuJoCo model as URDF: what Pinocchio needs to know about an arm that came as MJCF."""

import xml.etree.ElementTree as ElementTree

import mujoco
import numpy as np

from steadyhand.sim.locking import origin_attributes

HINGE, SLIDE = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
WORLD = "world"
SPEEDS = {HINGE: 1.5, SLIDE: 0.25}  # rad/s and m/s: careful, because an MJCF says nothing


def relative(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) in m and rotation matrix (3, 3) of a body in its parent."""
    parent = int(model.body_parentid[body])
    turn = data.xmat[parent].reshape(3, 3)
    return turn.T @ (data.xpos[body] - data.xpos[parent]), turn.T @ data.xmat[body].reshape(3, 3)


def equivalent_urdf(model: mujoco.MjModel, bodies: list[int], name: str) -> str:
    """Text of a URDF with a link per body and per site, the same names, frames, inertias, limits and losses."""
    return _Writer(model, bodies).text(name)


class _Writer:
    """Builds the URDF element by element."""

    def __init__(self, model: mujoco.MjModel, bodies: list[int]) -> None:
        self._model, self._bodies = model, bodies
        self._data = mujoco.MjData(model)
        self._data.qpos[:] = model.qpos0
        for body in bodies:
            if model.body_jntnum[body]:
                self._data.qpos[model.jnt_qposadr[model.body_jntadr[body]]] = 0.0  # where a URDF's origins are
        mujoco.mj_kinematics(model, self._data)
        self._names = {WORLD} | {model.body(body).name for body in bodies}

    def text(self, name: str) -> str:
        """Text of the URDF."""
        self._root = ElementTree.Element("robot", name=name)
        ElementTree.SubElement(self._root, "link", name=WORLD)
        for body in self._bodies:
            self._add_body(body)
        for site in range(self._model.nsite):
            self._add_site(site)
        return ElementTree.tostring(self._root, encoding="unicode")

    def _add_body(self, body: int) -> None:
        model, name = self._model, self._model.body(body).name
        parent = model.body(int(model.body_parentid[body])).name
        position, turn = relative(model, self._data, body)
        if model.body_jntnum[body]:
            joint = model.joint(int(model.body_jntadr[body]))
            anchor = joint.pos if joint.type[0] == HINGE else np.zeros(3)
            child = f"{name}__axis" if anchor.any() else name  # a URDF's joint turns about its child's origin
            self._add_joint(joint, parent, child, position + turn @ anchor, turn)
            if child != name:
                ElementTree.SubElement(self._root, "link", name=child)
                self._fix(child, name, -anchor, np.eye(3))
        else:
            self._fix(parent, name, position, turn)
        self._add_inertia(ElementTree.SubElement(self._root, "link", name=name), body)

    def _add_inertia(self, link: ElementTree.Element, body: int) -> None:
        model = self._model
        if model.body_mass[body] <= 0.0:
            return
        turn = _matrix(model.body_iquat[body])
        matrix = turn @ np.diag(model.body_inertia[body]) @ turn.T
        inertial = ElementTree.SubElement(link, "inertial")
        ElementTree.SubElement(inertial, "origin", origin_attributes(model.body_ipos[body], np.eye(3)))
        ElementTree.SubElement(inertial, "mass", value=repr(float(model.body_mass[body])))
        entries = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}
        ElementTree.SubElement(inertial, "inertia", {key: repr(float(matrix[at])) for key, at in entries.items()})

    def _add_joint(self, joint, parent: str, child: str, position: np.ndarray, turn: np.ndarray) -> None:
        kind, dof = joint.type[0], int(joint.dofadr[0])
        limited = bool(self._model.jnt_limited[joint.id])
        name = "prismatic" if kind == SLIDE else "revolute" if limited else "continuous"
        element = self._join(joint.name, name, parent, child, position, turn)
        ElementTree.SubElement(element, "axis", xyz=" ".join(repr(float(value)) for value in joint.axis))
        limits = {"velocity": repr(SPEEDS[kind])}
        if limited:
            limits |= {"lower": repr(float(joint.range[0])), "upper": repr(float(joint.range[1]))}
        effort = effort_limit(self._model, joint.id)
        if effort is not None:
            limits["effort"] = repr(effort)
        ElementTree.SubElement(element, "limit", limits)
        losses = {"damping": self._model.dof_damping[dof], "friction": self._model.dof_frictionloss[dof]}
        ElementTree.SubElement(element, "dynamics", {key: repr(float(value)) for key, value in losses.items()})

    def _add_site(self, site: int) -> None:
        model, name, body = self._model, self._model.site(site).name, int(self._model.site_bodyid[site])
        if not name or name in self._names or body not in self._bodies:
            return
        self._names.add(name)
        ElementTree.SubElement(self._root, "link", name=name)
        self._fix(model.body(body).name, name, model.site_pos[site], _matrix(model.site_quat[site]))

    def _fix(self, parent: str, child: str, position: np.ndarray, turn: np.ndarray) -> None:
        self._join(f"{child}__fixed", "fixed", parent, child, position, turn)

    def _join(self, name, kind, parent, child, position, turn) -> ElementTree.Element:
        element = ElementTree.SubElement(self._root, "joint", name=name, type=kind)
        ElementTree.SubElement(element, "parent", link=parent)
        ElementTree.SubElement(element, "child", link=child)
        ElementTree.SubElement(element, "origin", origin_attributes(position, turn))
        return element


def effort_limit(model: mujoco.MjModel, joint: int) -> float | None:
    """The smallest limit (Nm or N) that the joint or a drive on it has; None if nothing limits it."""
    limits = [float(np.abs(model.jnt_actfrcrange[joint]).max())] if model.jnt_actfrclimited[joint] else []
    for drive in range(model.nu):
        on_joint = model.actuator_trntype[drive] == int(mujoco.mjtTrn.mjTRN_JOINT)
        if not on_joint or model.actuator_trnid[drive][0] != joint:
            continue
        gear = abs(float(model.actuator_gear[drive][0]))
        motor = model.actuator_biastype[drive] == int(mujoco.mjtBias.mjBIAS_NONE)
        if model.actuator_forcelimited[drive]:
            limits.append(float(np.abs(model.actuator_forcerange[drive]).max()) * gear)
        elif motor and model.actuator_ctrllimited[drive]:
            most = float(np.abs(model.actuator_ctrlrange[drive]).max())
            limits.append(most * float(model.actuator_gainprm[drive][0]) * gear)
    return min(limits, default=None)


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a quaternion wxyz (4,)."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
