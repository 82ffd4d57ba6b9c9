// What ArmModel takes from a URDF, and what it says about one it cannot take.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "fixtures.hpp"

namespace crisp_control::test {
namespace {

/// The message of the std::invalid_argument that `action` throws; empty if it throws none.
std::string complaint(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(ArmModelUrdf, TakesFiveToEightJoints) {
  for (const int n : {5, 6, 7, 8}) EXPECT_EQ(make_chain(n).model().n(), n);
  for (const int n : {1, 4, 9}) {
    const std::string text = complaint([n] { make_chain(n).model(); });
    EXPECT_TRUE(contains(text, "5 to 8") && contains(text, std::to_string(n))) << text;
  }
}

TEST(ArmModelUrdf, ReadsTheLimits) {
  Chain chain = make_chain(5);
  chain.joints[1].type = "continuous";
  const ArmModel model = chain.model();
  EXPECT_EQ(model.q_lower()[0], -2.5);
  EXPECT_EQ(model.q_upper()[0], 2.0);
  EXPECT_EQ(model.q_lower()[1], -INFINITY);
  EXPECT_EQ(model.q_upper()[1], INFINITY);
  EXPECT_EQ(model.q_lower()[2], -2.5);
  EXPECT_TRUE((model.dq_limit().array() == 2.5).all());
  EXPECT_TRUE((model.tau_limit().array() == 80.0).all());
}

TEST(ArmModelUrdf, LocksTheJointsThatAreNotAskedFor) {
  const Chain chain = make_chain(6);
  std::vector<std::string> five = chain.names();
  five.pop_back();
  ArmModel all = chain.model(), reduced(chain.urdf(), five, "tool");
  std::mt19937 rng(7);
  JointVector q = random_joints(6, 1.0, rng);
  q[5] = 0.0;
  const JointVector zero = JointVector::Zero(6);
  const ArmTerms& expected = all.update(q, zero);
  const ArmTerms& terms = reduced.update(q.head(5), zero.head(5));
  EXPECT_LT((terms.T_base_ee.position - expected.T_base_ee.position).norm(), 1e-12);
  EXPECT_LT((terms.gravity - expected.gravity.head(5)).norm(), 1e-11);
}

TEST(ArmModelUrdf, NamesTheJointsIfOneIsUnknown) {
  const Chain chain = make_chain(5);
  std::vector<std::string> names = chain.names();
  names[2] = "shoulder";
  const std::string text = complaint([&] { ArmModel(chain.urdf(), names, "tool"); });
  EXPECT_TRUE(contains(text, "'shoulder'")) << text;
  for (const auto& name : chain.names()) EXPECT_TRUE(contains(text, name)) << text;
}

TEST(ArmModelUrdf, NamesTheFramesIfTheToolIsUnknown) {
  const Chain chain = make_chain(5);
  const std::string text = complaint([&] { ArmModel(chain.urdf(), chain.names(), "gripper"); });
  EXPECT_TRUE(contains(text, "'gripper'") && contains(text, "tool") && contains(text, "link_of_z_joint")) << text;
}

TEST(ArmModelUrdf, RefusesAJointThatIsListedTwice) {
  const Chain chain = make_chain(6);
  std::vector<std::string> names = chain.names();
  names[5] = names[0];
  const std::string text = complaint([&] { ArmModel(chain.urdf(), names, "tool"); });
  EXPECT_TRUE(contains(text, "'" + names[0] + "'") && contains(text, "twice")) << text;
}

TEST(ArmModelUrdf, RefusesAJointWithoutEffortLimit) {
  const Chain chain = make_chain(5);
  const std::string urdf = replaced(chain.urdf(), "effort='80'", "effort='0'");
  const std::string text = complaint([&] { ArmModel(urdf, chain.names(), "tool"); });
  EXPECT_TRUE(contains(text, chain.joints[0].name) && contains(text, "effort")) << text;
}

TEST(ArmModelUrdf, ReadsFriction) {
  const Chain chain = make_chain(5);
  const std::string urdf = replaced(chain.urdf(), "<limit", "<dynamics friction='0.7' damping='0.3'/><limit");
  const ArmModel model(urdf, chain.names(), "tool");
  EXPECT_EQ(model.friction(), 0.7 * JointVector::Unit(5, 0));
  EXPECT_EQ(model.damping(), 0.3 * JointVector::Unit(5, 0));
  EXPECT_EQ(CartesianImpedanceParams(model).friction, model.friction());
  EXPECT_EQ(CartesianImpedanceParams(model).viscous_friction, model.damping());
}

TEST(ArmModelUrdf, SaysWhetherAFrameStandsStillOrMovesWithTheTool) {
  const ArmModel model = fr3();
  EXPECT_EQ(model.gravity_field(), Vector3(0, 0, -9.81));
  for (const std::string link : {"fr3_link3", "fr3_hand"}) {
    const std::string text = complaint([&] { model.static_frame(link); });
    EXPECT_TRUE(contains(text, "'" + link + "'") && contains(text, "moves")) << text;
  }
  for (const std::string link : {"base", "fr3_link6"}) {
    const std::string text = complaint([&] { model.tool_link(link); });
    EXPECT_TRUE(contains(text, "'" + link + "'") && contains(text, "does not move with the tool")) << text;
  }
  EXPECT_TRUE(contains(complaint([&] { model.static_frame("table"); }), "'table'"));
  EXPECT_TRUE(contains(complaint([&] { model.tool_link("table"); }), "'table'"));
}

TEST(ArmModelUrdf, RefusesRotorInertiaThatDoesNotFit) {
  const Chain chain = make_chain(5);
  const std::string text = complaint([&] { ArmModel(chain.urdf(), chain.names(), "tool", {0.1, 0.2}); });
  EXPECT_TRUE(contains(text, "armature has 2 values for 5 joints")) << text;
}

TEST(ArmModelUrdf, RefusesTextThatIsNoUrdfInOneLine) {
  for (const std::string text : {"", "not xml", "<robot name='r'>", "<robot name='r'><link/></robot>"}) {
    const std::string message = complaint([&] { ArmModel(text, make_chain(5).names(), "tool"); });
    EXPECT_FALSE(message.empty()) << "accepted: " << text;
    EXPECT_FALSE(contains(message, "\n")) << message;
  }
}

TEST(ArmModelUrdf, ReadsTheFr3) {
  const ArmModel model = fr3();
  EXPECT_EQ(model.n(), 7);
  JointVector efforts(7);
  efforts << 87, 87, 87, 87, 12, 12, 12;
  EXPECT_TRUE(model.tau_limit() == efforts) << model.tau_limit().transpose();
}

}  // namespace
}  // namespace crisp_control::test
