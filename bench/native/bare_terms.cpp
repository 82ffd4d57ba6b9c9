#include "bare_terms.hpp"

#include <algorithm>
#include <pinocchio/algorithm/crba.hpp>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/algorithm/rnea.hpp>
#include <pinocchio/multibody.hpp>
#include <pinocchio/parsers/urdf.hpp>

namespace steadyhand::bench {

namespace {

pinocchio::Model build(const std::string& urdf_xml, const std::vector<std::string>& joints) {
  pinocchio::Model full;
  pinocchio::urdf::buildModelFromXML(urdf_xml, full);
  std::vector<pinocchio::JointIndex> locked;
  for (pinocchio::JointIndex id = 1; id < full.names.size(); ++id) {
    if (std::find(joints.begin(), joints.end(), full.names[id]) == joints.end()) locked.push_back(id);
  }
  return pinocchio::buildReducedModel(full, locked, pinocchio::neutral(full));
}

}  // namespace

struct BareTerms::Impl {
  Impl(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame)
      : model(build(urdf_xml, joints)), data(model), tool(model.getFrameId(tool_frame)), J(6, model.nv) {}

  pinocchio::Model model;
  pinocchio::Data data;
  pinocchio::FrameIndex tool;
  pinocchio::Data::Matrix6x J;
};

BareTerms::BareTerms(const std::string& urdf_xml, const std::vector<std::string>& joints, const std::string& tool_frame)
    : impl_(std::make_unique<Impl>(urdf_xml, joints, tool_frame)) {}

BareTerms::~BareTerms() = default;

int BareTerms::nq() const noexcept { return impl_->model.nq; }

void BareTerms::compute(const Eigen::VectorXd& q, const Eigen::VectorXd& dq) noexcept {
  auto& [model, data, tool, J] = *impl_;
  pinocchio::computeJointJacobians(model, data, q);
  pinocchio::updateFramePlacement(model, data, tool);
  J.setZero();
  pinocchio::getFrameJacobian(model, data, tool, pinocchio::LOCAL_WORLD_ALIGNED, J);
  pinocchio::crba(model, data, q);
  pinocchio::nonLinearEffects(model, data, q, dq);
}

}  // namespace steadyhand::bench
