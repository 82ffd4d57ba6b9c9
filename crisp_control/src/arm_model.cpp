// The only translation unit that includes Pinocchio: it takes about a minute to compile.
#include "crisp_control/arm_model.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/multibody.hpp>
#include <pinocchio/parsers/urdf.hpp>
#include <stdexcept>

namespace crisp_control {

namespace {

struct JointIndex {
  int q, v;
  bool continuous;  // two coordinates (cos, sin) in Pinocchio's q
};

struct SharedModel {
  pinocchio::Model model;
  std::vector<JointIndex> joints;  // in the caller's order
  pinocchio::FrameIndex tool = 0;
};

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

pinocchio::Model parse(const std::string& urdf_xml) {
  pinocchio::Model model;
  try {
    pinocchio::urdf::buildModelFromXML(urdf_xml, model);
  } catch (const std::exception&) {
    throw std::invalid_argument("the URDF cannot be parsed; check it with `check_urdf FILE`");
  }
  return model;
}

// Keeps the named joints and locks all others at their neutral position.
pinocchio::Model reduce(const pinocchio::Model& full, const std::vector<std::string>& joints) {
  std::vector<std::string> available(full.names.begin() + 1, full.names.end());
  for (const auto& name : joints) {
    if (!full.existJointName(name)) {
      throw std::invalid_argument("the URDF has no joint '" + name + "'; it has: " + join(available));
    }
    if (std::count(joints.begin(), joints.end(), name) > 1) {
      throw std::invalid_argument("joint '" + name + "' is listed twice in: " + join(joints));
    }
  }
  std::vector<pinocchio::JointIndex> locked;
  for (pinocchio::JointIndex id = 1; id < static_cast<pinocchio::JointIndex>(full.njoints); ++id) {
    if (std::find(joints.begin(), joints.end(), full.names[id]) == joints.end()) locked.push_back(id);
  }
  return pinocchio::buildReducedModel(full, locked, pinocchio::neutral(full));
}

// The recursion below, and a tool at the end of it, need one chain.
void check_chain(const SharedModel& shared, const std::vector<std::string>& joints) {
  const auto& model = shared.model;
  bool chain = model.frames[shared.tool].parentJoint == model.joints.size() - 1;  // joint 0 is the universe
  for (pinocchio::JointIndex id = 1; id < model.joints.size(); ++id) chain = chain && model.parents[id] == id - 1;
  if (!chain)
    throw std::invalid_argument("these joints are no single chain from the base to the tool: " + join(joints));
}

std::shared_ptr<const SharedModel> build(const std::string& urdf_xml, const std::vector<std::string>& joints,
                                         const std::string& tool_frame, const std::vector<double>& armature) {
  if (joints.size() < 5 || joints.size() > static_cast<std::size_t>(kMaxJoints)) {
    throw std::invalid_argument("an arm has 5 to 8 joints, " + std::to_string(joints.size()) + " were given");
  }
  auto shared = std::make_shared<SharedModel>();
  shared->model = reduce(parse(urdf_xml), joints);
  for (const auto& name : joints) {
    const auto& joint = shared->model.joints[shared->model.getJointId(name)];
    if (joint.nv() != 1) throw std::invalid_argument("joint '" + name + "' has more than one degree of freedom");
    shared->joints.push_back({joint.idx_q(), joint.idx_v(), joint.nq() == 2});
  }
  if (!shared->model.existFrame(tool_frame)) {
    std::vector<std::string> frames;
    for (const auto& frame : shared->model.frames) {
      if (frame.type == pinocchio::BODY) frames.push_back(frame.name);
    }
    throw std::invalid_argument("the URDF has no frame '" + tool_frame + "'; it has: " + join(frames));
  }
  shared->tool = shared->model.getFrameId(tool_frame);
  check_chain(*shared, joints);
  if (!armature.empty() && armature.size() != joints.size()) {
    throw std::invalid_argument("armature has " + std::to_string(armature.size()) + " values for " +
                                std::to_string(joints.size()) + " joints");
  }
  for (std::size_t i = 0; i < armature.size(); ++i) {
    if (!(armature[i] >= 0.0 && std::isfinite(armature[i]))) {
      throw std::invalid_argument("armature of joint '" + joints[i] + "' must be a number >= 0 kg m^2");
    }
    shared->model.armature[shared->joints[i].v] = armature[i];
  }
  return shared;
}

}  // namespace

struct ArmModel::Impl {
  explicit Impl(std::shared_ptr<const SharedModel> shared)
      : robot(std::move(shared)),
        data(robot->model),
        q(pinocchio::neutral(robot->model)),
        v(Eigen::VectorXd::Zero(robot->model.nv)),
        last_inertia(robot->model.inertias.back()) {}

  std::shared_ptr<const SharedModel> robot;
  pinocchio::Data data;
  Eigen::VectorXd q, v;
  pinocchio::Inertia last_inertia;  // of the last link, with the payload
};

ArmModel::ArmModel(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame,
                   const std::vector<double>& armature)
    : impl_(std::make_unique<Impl>(build(urdf_xml, joints, tool_frame, armature))), joints_(joints) {
  read_limits();
  update(JointVector::Zero(n()), JointVector::Zero(n()));
}

ArmModel::ArmModel(const ArmModel& other)
    : impl_(std::make_unique<Impl>(other.impl_->robot)),
      joints_(other.joints_),
      q_lower_(other.q_lower_),
      q_upper_(other.q_upper_),
      dq_limit_(other.dq_limit_),
      tau_limit_(other.tau_limit_),
      friction_(other.friction_),
      damping_(other.damping_),
      gravity_field_(other.gravity_field_),
      terms_(other.terms_) {
  impl_->last_inertia = other.impl_->last_inertia;
}

ArmModel::~ArmModel() = default;

void ArmModel::read_limits() {
  const auto& robot = *impl_->robot;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (auto* limit : {&q_lower_, &q_upper_, &dq_limit_, &tau_limit_, &friction_, &damping_}) limit->resize(n());
  gravity_field_ = robot.model.gravity.linear();
  for (int i = 0; i < n(); ++i) {
    const auto& joint = robot.joints[i];
    q_lower_[i] = joint.continuous ? -kInfinity : robot.model.lowerPositionLimit[joint.q];
    q_upper_[i] = joint.continuous ? kInfinity : robot.model.upperPositionLimit[joint.q];
    dq_limit_[i] = robot.model.upperVelocityLimit[joint.v];
    tau_limit_[i] = robot.model.upperEffortLimit[joint.v];
    friction_[i] = robot.model.upperDryFrictionLimit[joint.v];
    damping_[i] = robot.model.damping[joint.v];
    if (!(tau_limit_[i] > 0.0)) {
      throw std::invalid_argument("joint '" + joints_[i] + "' has no effort limit; add <limit effort=...> to the URDF");
    }
  }
}

void ArmModel::set_payload(double mass, const Vector3& com) noexcept {
  const auto& model = impl_->robot->model;
  impl_->last_inertia = model.inertias.back();
  if (!(mass > 0.0)) return;
  const pinocchio::Inertia point(mass, com, Eigen::Matrix3d::Zero());
  impl_->last_inertia += model.frames[impl_->robot->tool].placement.act(point);
}

namespace {

const pinocchio::Frame& find_link(const pinocchio::Model& model, const std::string& link) {
  if (!model.existFrame(link)) throw std::invalid_argument("the URDF has no frame '" + link + "'");
  return model.frames[model.getFrameId(link)];
}

Pose to_pose(const pinocchio::SE3& placement) {
  return {placement.translation(), Eigen::Quaterniond(placement.rotation()).normalized()};
}

}  // namespace

Pose ArmModel::static_frame(const std::string& link) const {
  const auto& frame = find_link(impl_->robot->model, link);
  if (frame.parentJoint != 0) throw std::invalid_argument("the frame '" + link + "' moves with the arm");
  return to_pose(frame.placement);
}

Pose ArmModel::tool_link(const std::string& link) const {
  const auto& model = impl_->robot->model;
  const auto& frame = find_link(model, link);
  const auto& tool = model.frames[impl_->robot->tool];
  if (frame.parentJoint != tool.parentJoint) {
    throw std::invalid_argument("the frame '" + link + "' does not move with the tool");
  }
  return to_pose(tool.placement.actInv(frame.placement));
}

const ArmTerms& ArmModel::update(const JointVector& q, const JointVector& dq) noexcept {
  const auto& [model, joints, tool] = *impl_->robot;
  auto& data = impl_->data;
  for (int i = 0; i < n(); ++i) {
    const auto& joint = joints[i];
    if (joint.continuous) {
      impl_->q[joint.q] = std::cos(q[i]);
      impl_->q[joint.q + 1] = std::sin(q[i]);
    } else {
      impl_->q[joint.q] = q[i];
    }
    impl_->v[joint.v] = dq[i];
  }
  pinocchio::computeJointJacobians(model, data, impl_->q);
  const pinocchio::SE3 T = data.oMi.back() * model.frames[tool].placement;
  terms_.T_base_ee.position = T.translation();
  terms_.T_base_ee.orientation = Eigen::Quaterniond(T.rotation());
  terms_.J_base_ee.resize(6, n());
  for (int i = 0; i < n(); ++i) {
    // Velocity of the point at the tool instead of the one at the base's origin.
    const auto column = data.J.col(joints[i].v);
    terms_.J_base_ee.col(i).tail<3>() = column.tail<3>();
    terms_.J_base_ee.col(i).head<3>() = column.head<3>() + column.tail<3>().cross(T.translation());
  }
  dynamics();
  return terms_;
}

// One forward and one backward recursion for everything that has mass, in the base's axes (Featherstone, Rigid Body
// Dynamics Algorithms, 2008, ch. 5 and 6). S_i: joint axis, v_i, a_i: velocity and velocity-product acceleration of
// body i, Y_i: inertia; Yc_i, hc_i, fc_i: inertia, momentum and force summed over the bodies that joint i carries.
//   M_ij = S_j . Yc_i S_i,  g_i = -Yc_i S_i . a_gravity,  (C dq)_i = S_i . fc_i.
// Turning joint i turns all it carries relative to its parent, so the kinetic energy changes as if the parent turned
// the other way:  (C^T dq)_i = dT/dq_i = -hc_i . (S_i x v_parent).
void ArmModel::dynamics() noexcept {
  const auto& [model, joints, tool] = *impl_->robot;
  auto& data = impl_->data;
  using pinocchio::Force, pinocchio::Inertia, pinocchio::Motion;
  std::array<Motion, kMaxJoints> S, parent_velocity;
  std::array<Inertia, kMaxJoints> inertia;
  std::array<Force, kMaxJoints> force, momentum;
  Motion velocity = Motion::Zero(), acceleration = Motion::Zero();
  const int joint_count = n();
  for (int i = 0; i < joint_count; ++i) {
    S[i] = Motion(data.J.col(i));
    const Motion joint_velocity = S[i] * impl_->v[i];
    parent_velocity[i] = velocity;
    velocity += joint_velocity;
    acceleration += parent_velocity[i].cross(joint_velocity);
    inertia[i] = data.oMi[i + 1].act(i + 1 == joint_count ? impl_->last_inertia : model.inertias[i + 1]);
    momentum[i] = inertia[i] * velocity;
    force[i] = inertia[i] * acceleration + velocity.cross(momentum[i]);
  }
  const Vector3& p = terms_.T_base_ee.position;
  const Vector3 point_velocity = velocity.linear() + velocity.angular().cross(p);
  terms_.tool_acceleration_bias =
      acceleration.linear() + acceleration.angular().cross(p) + velocity.angular().cross(point_velocity);
  for (int i = joint_count - 1; i > 0; --i) {
    inertia[i - 1] += inertia[i];
    momentum[i - 1] += momentum[i];
    force[i - 1] += force[i];
  }
  for (auto* vector : {&terms_.gravity, &terms_.coriolis, &terms_.coriolis_T_dq}) vector->resize(joint_count);
  terms_.mass_matrix.resize(joint_count, joint_count);
  for (int a = 0; a < joint_count; ++a) {
    const int i = joints[a].v;  // the caller's order may differ from that of the chain
    const Force carried = inertia[i] * S[i];
    terms_.gravity[a] = -carried.linear().dot(gravity_field_);
    terms_.coriolis[a] = S[i].dot(force[i]);
    terms_.coriolis_T_dq[a] = -S[i].cross(parent_velocity[i]).dot(momentum[i]);
    for (int b = 0; b < joint_count; ++b) {
      const int k = joints[b].v;
      if (k <= i) terms_.mass_matrix(a, b) = terms_.mass_matrix(b, a) = S[k].dot(carried);
    }
    terms_.mass_matrix(a, a) += model.armature[i];
  }
}

}  // namespace crisp_control
