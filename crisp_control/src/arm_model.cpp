// The only translation unit that includes Pinocchio: it takes about a minute to compile.
#include "crisp_control/arm_model.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <pinocchio/algorithm/crba.hpp>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/algorithm/rnea.hpp>
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

std::shared_ptr<const SharedModel> build(const std::string& urdf_xml, const std::vector<std::string>& joints,
                                         const std::string& tool_frame) {
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
  return shared;
}

}  // namespace

struct ArmModel::Impl {
  explicit Impl(std::shared_ptr<const SharedModel> shared)
      : robot(std::move(shared)),
        data(robot->model),
        q(pinocchio::neutral(robot->model)),
        v(Eigen::VectorXd::Zero(robot->model.nv)),
        jacobian(6, robot->model.nv) {
    jacobian.setZero();  // Pinocchio fills only the columns of the joints that carry the frame
  }

  std::shared_ptr<const SharedModel> robot;
  pinocchio::Data data;
  Eigen::VectorXd q, v;
  pinocchio::Data::Matrix6x jacobian;
};

ArmModel::ArmModel(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame)
    : impl_(std::make_unique<Impl>(build(urdf_xml, joints, tool_frame))), joints_(joints) {
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
      terms_(other.terms_) {}

ArmModel::~ArmModel() = default;

void ArmModel::read_limits() {
  const auto& robot = *impl_->robot;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (auto* limit : {&q_lower_, &q_upper_, &dq_limit_, &tau_limit_}) limit->resize(n());
  for (int i = 0; i < n(); ++i) {
    const auto& joint = robot.joints[i];
    q_lower_[i] = joint.continuous ? -kInfinity : robot.model.lowerPositionLimit[joint.q];
    q_upper_[i] = joint.continuous ? kInfinity : robot.model.upperPositionLimit[joint.q];
    dq_limit_[i] = robot.model.upperVelocityLimit[joint.v];
    tau_limit_[i] = robot.model.upperEffortLimit[joint.v];
    if (!(tau_limit_[i] > 0.0)) {
      throw std::invalid_argument("joint '" + joints_[i] + "' has no effort limit; add <limit effort=...> to the URDF");
    }
  }
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
  const auto& placement = pinocchio::updateFramePlacement(model, data, tool);
  pinocchio::getFrameJacobian(model, data, tool, pinocchio::LOCAL_WORLD_ALIGNED, impl_->jacobian);
  pinocchio::computeGeneralizedGravity(model, data, impl_->q);
  pinocchio::computeCoriolisMatrix(model, data, impl_->q, impl_->v);
  pinocchio::crba(model, data, impl_->q);  // fills the upper triangle of M

  terms_.T_base_ee.position = placement.translation();
  terms_.T_base_ee.orientation = Eigen::Quaterniond(placement.rotation());
  terms_.J_base_ee.resize(6, n());
  for (auto* vector : {&terms_.gravity, &terms_.coriolis, &terms_.coriolis_T_dq}) vector->setZero(n());
  terms_.mass_matrix.resize(n(), n());
  for (int i = 0; i < n(); ++i) {
    const int vi = joints[i].v;
    terms_.J_base_ee.col(i) = impl_->jacobian.col(vi);
    terms_.gravity[i] = data.g[vi];
    for (int k = 0; k < n(); ++k) {
      const int vk = joints[k].v;
      terms_.coriolis[i] += data.C(vi, vk) * dq[k];
      terms_.coriolis_T_dq[i] += data.C(vk, vi) * dq[k];
      terms_.mass_matrix(i, k) = data.M(std::min(vi, vk), std::max(vi, vk));
    }
  }
  return terms_;
}

}  // namespace crisp_control
