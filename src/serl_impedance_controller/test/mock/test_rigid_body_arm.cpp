// SPDX-License-Identifier: Apache-2.0
// The mock arm's dynamics against formulas, against the controller's model, and with bad input.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "../plugin/test_arm.hpp"
#include "counting_malloc.hpp"
#include "rigid_body_arm.hpp"

namespace law = serl_impedance_controller;
using law::RigidBodyArm;
using law::SimulatedJoint;

namespace
{

constexpr double kMass = 2.0;      // [kg]
constexpr double kLength = 0.5;    // [m]
constexpr double kInertia = 1e-6;  // [kg m^2]
constexpr double kGravity = 9.81;  // [m/s^2]

/// A point mass on a rod that swings about y.
const char kPendulum[] =
  R"(<robot name="pendulum">
  <link name="base"/>
  <link name="rod"><inertial><origin xyz="0 0 -0.5"/><mass value="2.0"/>
    <inertia ixx="1e-6" ixy="0" ixz="0" iyy="1e-6" iyz="0" izz="1e-6"/></inertial></link>
  <joint name="swing" type="continuous">
    <parent link="base"/><child link="rod"/><axis xyz="0 1 0"/>
  </joint>
</robot>)";

SimulatedJoint swing(double position = 0.0)
{
  SimulatedJoint joint;
  joint.name = "swing";
  joint.position = position;
  return joint;
}

Eigen::VectorXd torque(double value) {return Eigen::VectorXd::Constant(1, value);}

double energy(const RigidBodyArm & pendulum)
{
  const double inertia = kMass * kLength * kLength + kInertia;
  return 0.5 * inertia * std::pow(pendulum.velocity()[0], 2) -
         kMass * kGravity * kLength * std::cos(pendulum.position()[0]);
}

std::vector<SimulatedJoint> test_arm_joints()
{
  std::vector<SimulatedJoint> joints;
  const Eigen::VectorXd start = law::test::bent_posture();
  for (Eigen::Index i = 0; i < law::test::kJoints; ++i) {
    joints.emplace_back();
    joints.back().name = "joint" + std::to_string(i + 1);
    joints.back().position = start[i];
  }
  return joints;
}

}  // namespace

TEST(RigidBodyArm, SwingsWithThePeriodOfAPendulumAndKeepsItsEnergy)
{
  RigidBodyArm pendulum(kPendulum, {swing(0.05)}, false);
  const double before = energy(pendulum);
  std::vector<double> crossings;
  double last = pendulum.position()[0];
  for (int i = 1; i <= 6000; ++i) {
    pendulum.step(torque(0.0), 1e-3);
    if (last > 0.0 && pendulum.position()[0] <= 0.0) {
      crossings.push_back(1e-3 * i);
    }
    last = pendulum.position()[0];
  }
  const double period = 2.0 * M_PI * std::sqrt(kLength / kGravity) * (1.0 + 0.05 * 0.05 / 16.0);
  ASSERT_GE(crossings.size(), 3u);
  EXPECT_NEAR((crossings.back() - crossings.front()) / static_cast<double>(crossings.size() - 1), period, 1e-3);
  EXPECT_NEAR(energy(pendulum), before, 0.01 * kMass * kGravity * kLength * (1.0 - std::cos(0.05)));
}

TEST(RigidBodyArm, AcceleratesAsTheControllersModelSays)
{
  const auto joints = test_arm_joints();
  RigidBodyArm arm(law::test::urdf(), joints, false);
  law::RobotModel model(law::test::urdf(), law::test::arm());
  law::ArmSample sample(law::test::kJoints);
  Eigen::VectorXd command(law::test::kJoints);
  command << 5.0, -20.0, 3.0, 8.0, -1.0, 0.5, 0.2;
  arm.step(command, 0.02);  // so that it moves, and Coriolis torques count
  sample.q = arm.position();
  sample.dq = arm.velocity();
  model.update(sample);
  const double step = 1e-5;
  arm.step(command, step);
  const Eigen::VectorXd acceleration = (arm.velocity() - sample.dq) / step;
  EXPECT_TRUE((sample.mass * acceleration + sample.coriolis + sample.gravity).isApprox(command, 1e-8))
    << (sample.mass * acceleration + sample.coriolis + sample.gravity).transpose();
}

TEST(RigidBodyArm, FallsUnlessItsWeightIsBalanced)
{
  auto joints = test_arm_joints();
  const Eigen::VectorXd start = law::test::bent_posture();
  const Eigen::VectorXd nothing = Eigen::VectorXd::Zero(law::test::kJoints);
  RigidBodyArm balanced(law::test::urdf(), joints, true);
  balanced.step(nothing, 1.0);
  EXPECT_LT((balanced.position() - start).cwiseAbs().maxCoeff(), 1e-6);
  RigidBodyArm falling(law::test::urdf(), joints, false);
  const Eigen::VectorXd weight = falling.effort();  // what the brakes hold
  falling.step(nothing, 0.2);
  EXPECT_GT((falling.position() - start).cwiseAbs().maxCoeff(), 0.05);
  RigidBodyArm held(law::test::urdf(), joints, false);
  held.step(weight, 0.01);
  EXPECT_LT((held.position() - start).cwiseAbs().maxCoeff(), 1e-9);
}

TEST(RigidBodyArm, CoulombFrictionHoldsWhatIsWeakerAndViscousFrictionLimitsTheSpeed)
{
  auto joint = swing();
  joint.friction = 0.5;
  joint.damping = 2.0;
  joint.armature = 0.1;
  const Eigen::Vector3d none = Eigen::Vector3d::Zero();
  RigidBodyArm stuck(kPendulum, {joint}, false, none);
  stuck.step(torque(0.4), 1.0);
  EXPECT_LT(stuck.position()[0], 1e-3);
  RigidBodyArm moving(kPendulum, {joint}, false, none);
  moving.step(torque(2.5), 10.0);
  EXPECT_NEAR(moving.velocity()[0], (2.5 - 0.5) / 2.0, 1e-6);
  moving.step(torque(0.0), 3.0);
  EXPECT_NEAR(moving.velocity()[0], 0.0, 1e-3);
}

TEST(RigidBodyArm, HardFrictionAndLongCyclesStayStable)
{
  auto joint = swing(0.3);
  joint.friction = 100.0;
  joint.damping = 1e4;
  RigidBodyArm pendulum(kPendulum, {joint}, false);
  for (int i = 0; i < 100; ++i) {
    pendulum.step(torque(i % 2 ? 80.0 : -80.0), 0.1);
    ASSERT_LT(std::abs(pendulum.position()[0] - 0.3), 0.02);
  }
}

TEST(RigidBodyArm, StopsAtItsLimitsAndSaturates)
{
  auto joint = swing();
  joint.upper = 0.4;
  joint.lower = -0.4;
  joint.effort_limit = 12.0;
  RigidBodyArm arm(kPendulum, {joint}, false);
  arm.step(torque(500.0), 1e-3);
  EXPECT_DOUBLE_EQ(arm.effort()[0], 12.0);
  arm.step(torque(500.0), 1.0);
  EXPECT_DOUBLE_EQ(arm.position()[0], 0.4);
  EXPECT_DOUBLE_EQ(arm.velocity()[0], 0.0);
  arm.step(torque(-500.0), 2.0);
  EXPECT_DOUBLE_EQ(arm.position()[0], -0.4);
}

TEST(RigidBodyArm, BrakesAndRestarts)
{
  RigidBodyArm arm(kPendulum, {swing(0.3)}, false);
  arm.step(torque(3.0), 0.1);
  arm.stop();
  EXPECT_DOUBLE_EQ(arm.velocity()[0], 0.0);
  EXPECT_NEAR(arm.effort()[0], kMass * kGravity * kLength * std::sin(arm.position()[0]), 1e-9);
  arm.restart();
  EXPECT_DOUBLE_EQ(arm.position()[0], 0.3);
}

TEST(RigidBodyArm, DoesNotAllocateInAStep)
{
  RigidBodyArm arm(law::test::urdf(), test_arm_joints(), true);
  const Eigen::VectorXd command = Eigen::VectorXd::Constant(law::test::kJoints, 0.1);
  arm.step(command, 1e-3);
  const long before = law::test::allocations;
  arm.step(command, 1e-3);
  arm.stop();
  EXPECT_EQ(law::test::allocations, before);
}

TEST(RigidBodyArm, SaysWhatIsWrongWithADescription)
{
  const auto message = [](const std::string & urdf, const SimulatedJoint & joint) -> std::string {
      try {
        RigidBodyArm arm(urdf, {joint}, false);
      } catch (const std::invalid_argument & error) {
        return error.what();
      }
      return "accepted";
    };
  EXPECT_NE(message("", swing()).find("robot_description is empty"), std::string::npos);
  EXPECT_NE(message("<robot", swing()).find("not a URDF"), std::string::npos);
  auto unknown = swing();
  unknown.name = "elbow";
  EXPECT_NE(message(kPendulum, unknown).find("no movable joint 'elbow'; it has swing"), std::string::npos);
  auto outside = swing(1.0);
  outside.upper = 0.5;
  EXPECT_NE(message(kPendulum, outside).find("initial_value"), std::string::npos);
  auto negative = swing();
  negative.damping = -1.0;
  EXPECT_NE(message(kPendulum, negative).find("damping"), std::string::npos);
  auto not_finite = swing();
  not_finite.armature = NAN;
  EXPECT_NE(message(kPendulum, not_finite).find("finite"), std::string::npos);
}
