import numpy as np
from scipy.spatial.transform import Rotation

from steadyhand.sim.rotations import matrix_from_rot6d, quat_from_rot6d, rot6d_from_quat, yaw_of

RANDOM = Rotation.random(500, rng=np.random.default_rng(0))


def test_rot6d_is_the_first_two_columns_stacked():
    rot6d = rot6d_from_quat(RANDOM.as_quat())
    matrices = RANDOM.as_matrix()
    np.testing.assert_allclose(rot6d, np.concatenate([matrices[:, :, 0], matrices[:, :, 1]], axis=1), atol=1e-12)


def test_round_trip_including_half_turns():
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3))
    for rotations in (RANDOM, half_turns):
        back = Rotation.from_quat(quat_from_rot6d(rot6d_from_quat(rotations.as_quat())))
        assert (back * rotations.inv()).magnitude().max() < 1e-7


def test_both_signs_of_a_quaternion_are_one_rotation():
    np.testing.assert_array_equal(rot6d_from_quat(RANDOM.as_quat()), rot6d_from_quat(-RANDOM.as_quat()))


def test_any_two_independent_vectors_become_a_rotation():
    matrices = matrix_from_rot6d(np.random.default_rng(1).normal(size=(4, 100, 6)))
    identity = np.broadcast_to(np.eye(3), matrices.shape)
    np.testing.assert_allclose(np.swapaxes(matrices, -1, -2) @ matrices, identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, atol=1e-12)


def test_length_and_shear_of_the_vectors_do_not_matter():
    rot6d = rot6d_from_quat(RANDOM.as_quat())
    changed = np.concatenate([3.0 * rot6d[:, :3], 0.5 * rot6d[:, 3:] - 0.7 * rot6d[:, :3]], axis=1)
    np.testing.assert_allclose(matrix_from_rot6d(changed), matrix_from_rot6d(rot6d), atol=1e-12)


def test_what_is_no_rotation_becomes_nan_and_spoils_nothing_else():
    good = rot6d_from_quat(RANDOM.as_quat()[:1])[0]
    parallel, broken = np.array([1.0, 0, 0, 2.0, 0, 0]), np.array([1.0, 0, 0, np.nan, 1, 0])
    quaternions = quat_from_rot6d(np.array([np.zeros(6), good, parallel, broken, np.full(6, np.inf)]))
    assert np.isnan(quaternions).all(axis=1).tolist() == [True, False, True, True, True]
    np.testing.assert_array_equal(quaternions[1], quat_from_rot6d(good))


def test_shapes_with_and_without_batch():
    quaternions = RANDOM.as_quat()[:6].reshape(2, 3, 4)
    rot6d = rot6d_from_quat(quaternions)
    assert rot6d.shape == (2, 3, 6)
    assert quat_from_rot6d(rot6d).shape == (2, 3, 4)
    assert quat_from_rot6d(rot6d[0, 0]).shape == (4,)
    np.testing.assert_array_equal(rot6d[1, 2], rot6d_from_quat(quaternions[1, 2]))


def test_yaw_is_the_angle_about_z():
    for yaw in (-3.0, -0.4, 0.0, 1.2, 3.1):
        for tilt in ([0, 0, 0], [np.pi, 0, 0]):  # upright, and a tool that looks down
            rotation = Rotation.from_rotvec([0, 0, yaw]) * Rotation.from_rotvec(tilt)
            assert abs(yaw_of(rot6d_from_quat(rotation.as_quat())) - yaw) < 1e-12
