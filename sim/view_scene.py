"""A MuJoCo scene in the browser: one viser node per body, its shapes below it."""

import mujoco
import numpy as np
import trimesh
import viser

from steadyhand.sim.scene import VISUAL_GROUP

_DRAWN = (0, VISUAL_GROUP)
_PLANE = 5.0  # m, half the width of a plane that MuJoCo takes as endless
_Geom = mujoco.mjtGeom


class BrowserScene:
    """Bodies of a model as viser nodes; the poses are those of a state of it."""

    def __init__(self, server: viser.ViserServer, model: mujoco.MjModel) -> None:
        self._server, self._model = server, model
        server.scene.set_up_direction("+z")
        _light(server.scene)
        self.bodies: dict[int, viser.FrameHandle] = {}
        """By number of the body; those that nothing is drawn of are left out."""
        for geom in range(model.ngeom):
            if model.geom_group[geom] in _DRAWN and model.geom_rgba[geom, 3] > 0.0:
                self._add(geom)

    def _add(self, geom: int) -> None:
        body = int(self._model.geom_bodyid[geom])
        path = f"/bodies/{body}_{self._model.body(body).name}"
        if body not in self.bodies:
            self.bodies[body] = self._server.scene.add_frame(path, show_axes=False)
        material = self._model.geom_matid[geom]
        rgba = self._model.geom_rgba[geom] if material < 0 else self._model.mat_rgba[material]
        shape = _shape(self._model, geom)
        self._server.scene.add_mesh_simple(
            f"{path}/{geom}",
            shape.vertices.astype(np.float32),
            shape.faces.astype(np.uint32),
            color=np.round(255 * rgba[:3]).astype(np.uint8),
            opacity=None if rgba[3] >= 1.0 else float(rgba[3]),
            flat_shading=True,
            cast_shadow=False,
            receive_shadow=False,
            position=self._model.geom_pos[geom],
            wxyz=self._model.geom_quat[geom],
        )

    def show(self, data: mujoco.MjData) -> None:
        """Place all bodies; the kinematics of the state are computed already."""
        with self._server.atomic():
            for body, node in self.bodies.items():
                if not np.array_equal(node.position, data.xpos[body]):
                    node.position = data.xpos[body]
                if not np.array_equal(node.wxyz, data.xquat[body]):
                    node.wxyz = data.xquat[body]

    def look(self, data: mujoco.MjData, camera: int) -> None:
        """Let everybody look through a camera of the model; ``mj_camlight`` is done already."""
        position, (_, up, backward) = data.cam_xpos[camera], data.cam_xmat[camera].reshape(3, 3).T
        for client in self._server.get_clients().values():
            with client.atomic():
                client.camera.position = position
                client.camera.look_at, client.camera.up_direction = position - backward, up
                client.camera.fov = float(np.deg2rad(self._model.cam_fovy[camera]))


def _light(scene: viser.SceneApi) -> None:
    """As the twin's own pictures; viser's environment is brighter."""
    scene.configure_environment_map(None)
    scene.configure_default_lights(False)
    scene.add_light_ambient("/light", intensity=1.1)
    for i, (position, intensity) in enumerate((((1.0, -1.0, 2.5), 1.4), ((0.3, 1.5, 2.0), 0.6))):
        scene.add_light_directional(f"/light{i}", position=position, intensity=intensity)


def _shape(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """Surface of a geom in its own frame."""
    size = model.geom_size[geom]
    match model.geom_type[geom]:
        case _Geom.mjGEOM_MESH:
            return _mesh(model, int(model.geom_dataid[geom]))
        case _Geom.mjGEOM_SPHERE:
            return trimesh.creation.icosphere(radius=size[0])
        case _Geom.mjGEOM_ELLIPSOID:
            return trimesh.creation.icosphere().apply_scale(size)
        case _Geom.mjGEOM_CYLINDER:
            return trimesh.creation.cylinder(radius=size[0], height=2 * size[1])
        case _Geom.mjGEOM_CAPSULE:
            return trimesh.creation.capsule(radius=size[0], height=2 * size[1])
        case _Geom.mjGEOM_PLANE:
            width, depth = (2 * s if s > 0.0 else 2 * _PLANE for s in size[:2])
            return trimesh.creation.box([width, depth, 0.001])
        case _Geom.mjGEOM_BOX:
            return trimesh.creation.box(2 * size)
        case other:
            raise NotImplementedError(f"geom {geom} of type {other} cannot be shown")


def _mesh(model: mujoco.MjModel, mesh: int) -> trimesh.Trimesh:
    vertex, face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    vertices = model.mesh_vert[vertex : vertex + model.mesh_vertnum[mesh]]
    faces = model.mesh_face[face : face + model.mesh_facenum[mesh]]
    return trimesh.Trimesh(vertices, faces, process=False)
