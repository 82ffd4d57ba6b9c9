#include "arms.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace crisp_control::test {

namespace {

Eigen::Isometry3d transform(const Vector3& xyz, const Vector3& rpy) {
  Eigen::Isometry3d T = Eigen::Isometry3d::Identity();
  T.translation() = xyz;
  T.linear() = (Eigen::AngleAxisd(rpy.z(), Vector3::UnitZ()) * Eigen::AngleAxisd(rpy.y(), Vector3::UnitY()) *
                Eigen::AngleAxisd(rpy.x(), Vector3::UnitX()))
                   .toRotationMatrix();
  return T;
}

std::string text(const Vector3& v) {
  std::ostringstream out;
  out.precision(17);
  out << v.x() << ' ' << v.y() << ' ' << v.z();
  return out.str();
}

void write_joint(std::ostream& out, const ChainJoint& joint, const std::string& parent, const std::string& child) {
  out << "<joint name='" << joint.name << "' type='" << joint.type << "'><parent link='" << parent << "'/><child link='"
      << child << "'/><origin xyz='" << text(joint.xyz) << "' rpy='" << text(joint.rpy) << "'/><axis xyz='"
      << text(joint.axis) << "'/>";
  const std::string range = joint.type == "continuous" ? "" : "lower='-2.5' upper='2.0' ";
  out << "<limit " << range << "velocity='2.5' effort='80'/></joint>\n";
  out << "<link name='" << child << "'><inertial><origin xyz='" << text(joint.centre) << "'/><mass value='"
      << joint.mass << "'/><inertia ixx='0.03' iyy='0.02' izz='0.01' ixy='0.001' ixz='0.002' iyz='-0.001'/>"
      << "</inertial></link>\n";
}

}  // namespace

std::string Chain::urdf() const {
  std::ostringstream out;
  out.precision(17);
  out << "<robot name='chain'><link name='base'/>\n";
  std::string parent = "base";
  for (const auto& joint : joints) {
    const std::string child = "link_of_" + joint.name;
    write_joint(out, joint, parent, child);
    parent = child;
  }
  out << "<link name='tool'/><joint name='tool_mount' type='fixed'><parent link='" << parent
      << "'/><child link='tool'/><origin xyz='" << text(tool_xyz) << "' rpy='" << text(tool_rpy)
      << "'/></joint></robot>\n";
  return out.str();
}

std::vector<std::string> Chain::names() const {
  std::vector<std::string> names;
  for (const auto& joint : joints) names.push_back(joint.name);
  return names;
}

Chain make_chain(int joints, const std::string& type) {
  std::mt19937 rng(17u * static_cast<unsigned>(joints));
  std::uniform_real_distribution<double> unit(-1.0, 1.0);
  const auto vector = [&] { return Vector3(unit(rng), unit(rng), unit(rng)); };
  Chain chain;
  for (int i = 0; i < joints; ++i) {
    // Names in falling alphabetical order: a model that sorts them would be found out.
    const std::string name = std::string(1, static_cast<char>('z' - i)) + "_joint";
    chain.joints.push_back(
        {name, type, 0.25 * vector(), 2.0 * vector(), vector().normalized(), 2.0 + unit(rng), 0.1 * vector()});
  }
  chain.tool_xyz = 0.2 * vector();
  chain.tool_rpy = vector();
  return chain;
}

std::vector<Chain> all_chains() {
  std::vector<Chain> chains;
  for (const int n : {5, 6, 7, 8}) chains.push_back(make_chain(n));
  Chain mixed = make_chain(7);
  for (const int i : {0, 2, 6}) mixed.joints[i].type = "continuous";
  mixed.joints[3].type = "prismatic";
  chains.push_back(mixed);
  return chains;
}

ChainPose place(const Chain& chain, const JointVector& q) {
  ChainPose pose;
  Eigen::Isometry3d T = Eigen::Isometry3d::Identity();
  for (std::size_t i = 0; i < chain.joints.size(); ++i) {
    const ChainJoint& joint = chain.joints[i];
    T = T * transform(joint.xyz, joint.rpy);
    pose.origins.push_back(T.translation());
    pose.axes.push_back(T.linear() * joint.axis);
    if (joint.type == "prismatic") {
      T.translate(q[static_cast<int>(i)] * joint.axis);
    } else {
      T.rotate(Eigen::AngleAxisd(q[static_cast<int>(i)], joint.axis));
    }
    pose.centres.push_back(T * joint.centre);
  }
  pose.T_base_tool = T * transform(chain.tool_xyz, chain.tool_rpy);
  return pose;
}

std::string fr3_urdf() {
  std::ifstream file(ROBOTS_DIR "/fr3/fr3.urdf");
  if (!file) throw std::runtime_error("cannot read the FR3's URDF");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> fr3_joints() {
  std::vector<std::string> names;
  for (int i = 1; i <= 7; ++i) names.push_back("fr3_joint" + std::to_string(i));
  return names;
}

std::vector<double> fr3_armature() { return {0.195, 0.195, 0.195, 0.195, 0.074, 0.074, 0.074}; }

ArmModel fr3() { return ArmModel(fr3_urdf(), fr3_joints(), "fr3_hand_tcp", fr3_armature()); }

JointVector fr3_home() {
  JointVector q(7);
  q << 0.1, -0.3, 0.2, -2.2, -0.1, 2.0, 0.7;
  return q;
}

JointVector random_joints(int n, double scale, std::mt19937& rng) {
  std::uniform_real_distribution<double> unit(-scale, scale);
  return JointVector::NullaryExpr(n, [&](Eigen::Index) { return unit(rng); });
}

Vector6 random_wrench(double scale, std::mt19937& rng) { return random_joints(6, scale, rng); }

Eigen::Quaterniond about(const Vector3& axis, double angle) {
  return Eigen::Quaterniond(Eigen::AngleAxisd(angle, axis.normalized()));
}

double angle_between(const Eigen::Quaterniond& a, const Eigen::Quaterniond& b) { return a.angularDistance(b); }

}  // namespace crisp_control::test
