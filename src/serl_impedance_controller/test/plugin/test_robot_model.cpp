// SPDX-License-Identifier: Apache-2.0
// The model against MuJoCo's numbers (model_reference.txt), against differences of itself, and with bad descriptions.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "counting_malloc.hpp"
#include "robot_model.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "test_arm.hpp"

namespace law = serl_impedance_controller;
using law::test::kJoints;

namespace
{

using Values = std::map<std::string, std::vector<double>>;

/// The samples of the file, each with its values by name.
std::vector<Values> reference_samples()
{
  std::ifstream file(std::string(TEST_FOLDER) + "/model_reference.txt");
  std::vector<Values> samples;
  for (std::string line; std::getline(file, line); ) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name.empty() || name[0] == '#') {
      continue;
    }
    if (name == "q") {
      samples.emplace_back();
    }
    for (double value; words >> value; ) {
      samples.back()[name].push_back(value);
    }
  }
  return samples;
}

template <typename Derived>
void expect_near(const Eigen::MatrixBase<Derived> & found, const std::vector<double> & row_major, const char * what)
{
  ASSERT_EQ(static_cast<std::size_t>(found.size()), row_major.size()) << what;
  for (Eigen::Index i = 0; i < found.rows(); ++i) {
    for (Eigen::Index k = 0; k < found.cols(); ++k) {
      EXPECT_NEAR(found(i, k), row_major[static_cast<std::size_t>(i * found.cols() + k)], 1e-8)
        << what << " " << i << " " << k;
    }
  }
}

std::string message_of(const std::string & urdf, const law::ArmDescription & arm)
{
  try {
    law::RobotModel model(urdf, arm);
  } catch (const std::invalid_argument & error) {
    return error.what();
  }
  return "";
}

void expect_in(const std::string & part, const std::string & text)
{
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}

}  // namespace

TEST(RobotModel, PoseJacobianMassGravityAndCoriolisAreMujocos)
{
  law::RobotModel model(law::test::urdf(), law::test::arm());
  law::ArmSample sample(kJoints);
  const auto samples = reference_samples();
  ASSERT_EQ(samples.size(), 5u);
  for (const Values & expected : samples) {
    sample.q = Eigen::Map<const Eigen::VectorXd>(expected.at("q").data(), kJoints);
    sample.dq = Eigen::Map<const Eigen::VectorXd>(expected.at("dq").data(), kJoints);
    model.update(sample);
    expect_near(sample.pose.position, expected.at("position"), "position");
    const auto & xyzw = expected.at("quaternion_xyzw");
    const Eigen::Quaterniond orientation(xyzw[3], xyzw[0], xyzw[1], xyzw[2]);
    EXPECT_LT(orientation.angularDistance(sample.pose.orientation), 1e-8);
    expect_near(sample.jacobian, expected.at("jacobian"), "jacobian");
    expect_near(sample.mass, expected.at("mass"), "mass");
    expect_near(sample.gravity, expected.at("gravity"), "gravity");
    expect_near(sample.coriolis, expected.at("coriolis"), "coriolis");
  }
}

TEST(RobotModel, JacobianIsTheDifferenceOfThePoseAndMassChangesWithBothCoriolisForms)
{
  law::RobotModel model(law::test::urdf(), law::test::arm());
  law::ArmSample here(kJoints), before(kJoints), after(kJoints);
  const double step = 1e-6;
  here.q << 0.3, -0.5, 0.9, -1.8, 0.2, 1.4, 2.9;
  here.dq << 0.5, -0.4, 0.3, 0.7, -0.9, 0.2, -1.1;
  before.q = here.q - step * here.dq;
  after.q = here.q + step * here.dq;
  before.dq = after.dq = here.dq;
  model.update(before);
  model.update(here);
  model.update(after);
  const law::Vector6 moved = law::pose_error(after.pose, before.pose) / (2 * step);
  EXPECT_LT((moved - here.jacobian * here.dq).norm(), 1e-7);
  // dM/dt dq = C dq + C^T dq
  const Eigen::VectorXd change = (after.mass - before.mass) / (2 * step) * here.dq;
  EXPECT_LT((change - here.coriolis - here.coriolis_transposed).norm(), 1e-6);
}

TEST(RobotModel, JointsKeepTheControllersOrder)
{
  law::ArmDescription turned = law::test::arm();
  std::reverse(turned.joints.begin(), turned.joints.end());
  law::RobotModel straight(law::test::urdf(), law::test::arm());
  law::RobotModel reversed(law::test::urdf(), turned);
  law::ArmSample a(kJoints), b(kJoints);
  a.q << 0.3, -0.5, 0.9, -1.8, 0.2, 1.4, 2.9;
  a.dq.setLinSpaced(-0.5, 0.8);
  b.q = a.q.reverse();
  b.dq = a.dq.reverse();
  straight.update(a);
  reversed.update(b);
  EXPECT_LT((a.pose.position - b.pose.position).norm(), 1e-12);
  EXPECT_LT((a.jacobian - b.jacobian.rowwise().reverse()).norm(), 1e-12);
  EXPECT_LT((a.mass - b.mass.reverse()).norm(), 1e-12);
  EXPECT_LT((a.coriolis - b.coriolis.reverse()).norm(), 1e-12);
  EXPECT_EQ(straight.effort_limits()[0], 87.0);
  EXPECT_EQ(reversed.effort_limits()[0], 12.0);
}

TEST(RobotModel, GravityIsTheConfiguredOne)
{
  law::ArmDescription weightless = law::test::arm();
  weightless.gravity.setZero();
  law::RobotModel model(law::test::urdf(), weightless);
  law::ArmSample sample(kJoints);
  sample.q.setConstant(0.4);
  model.update(sample);
  EXPECT_EQ(sample.gravity.norm(), 0.0);
}

TEST(RobotModel, PoseOfASensorInTheTcp)
{
  law::RobotModel model(law::test::urdf(), law::test::arm());
  const law::Pose sensor = model.fixed_in_tcp("wrist_sensor");
  EXPECT_NEAR(sensor.position.norm(), std::sqrt(0.01 * 0.01 + 0.02 * 0.02 + 0.0534 * 0.0534), 1e-9);
  EXPECT_EQ(model.fixed_in_tcp("tool").position.norm(), 0.0);
  EXPECT_THROW(model.fixed_in_tcp("link3"), std::invalid_argument);
}

TEST(RobotModel, BadDescriptionsAreNamed)
{
  const std::string urdf = law::test::urdf();
  law::ArmDescription arm = law::test::arm();
  expect_in("robot_description is empty", message_of("", arm));
  expect_in("not a URDF", message_of("<robot", arm));
  arm.joints[2] = "elbow";
  expect_in("no movable joint 'elbow'; it has joint1", message_of(urdf, arm));
  arm = law::test::arm();
  arm.joints[6] = "left_finger_slide";
  expect_in("'left_finger_slide' does not move tcp_frame", message_of(urdf, arm));
  arm = law::test::arm();
  arm.tcp_frame = "gripper";
  expect_in("tcp_frame: robot_description has no link 'gripper'", message_of(urdf, arm));
  arm = law::test::arm();
  arm.base_frame = "link2";
  expect_in("base_frame: 'link2' moves with joint joint2", message_of(urdf, arm));
}

TEST(RobotModel, UpdateDoesNotAllocate)
{
  law::RobotModel model(law::test::urdf(), law::test::arm());
  law::ArmSample sample(kJoints);
  const long before = law::test::allocations;
  for (int i = 0; i < 100; ++i) {
    sample.q.setConstant(0.01 * i);
    sample.dq.setConstant(0.1);
    model.update(sample);
  }
  EXPECT_EQ(law::test::allocations - before, 0);
  EXPECT_TRUE(sample.mass.allFinite());
}
