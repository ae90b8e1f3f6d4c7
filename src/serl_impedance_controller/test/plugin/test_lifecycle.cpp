// SPDX-License-Identifier: Apache-2.0
// Loading, configuring, activating and deactivating, and what is said where that is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <pluginlib/class_loader.hpp>

#include "controller_under_test.hpp"
#include "log_capture.hpp"

namespace law = serl_impedance_controller;
using law::test::ControllerUnderTest;
using law::test::LogCapture;
using law::test::Parameters;
using law::test::with;
using rclcpp::Parameter;

namespace
{

/// A parameter that must be refused, when the controller is loaded or when it is configured, and in what words.
struct Refusal
{
  Parameter parameter;
  std::string words;
};

void expect_refused(const Refusal & refusal)
{
  LogCapture log;
  std::string state = "not loaded";
  ControllerUnderTest test(with({refusal.parameter}));
  if (test.started) {
    state = test.configure();
    EXPECT_EQ(state, "unconfigured");
  }
  EXPECT_TRUE(log.has(refusal.words)) << refusal.parameter.get_name() << ": '" << refusal.words << "' is not in\n" <<
    log.all();
}

}  // namespace

TEST(Lifecycle, PluginlibFindsTheClass)
{
  pluginlib::ClassLoader<controller_interface::ControllerInterface> loader(
    "controller_interface", "controller_interface::ControllerInterface");
  const auto controller = loader.createUniqueInstance("serl_impedance_controller/CartesianController");
  EXPECT_NE(controller, nullptr);
}

TEST(Lifecycle, WhatHasNoDefaultMustBeGiven)
{
  LogCapture log;
  Parameters without;
  for (const auto & parameter : law::test::usual_parameters()) {
    if (parameter.get_name() != "gravity_compensation") {
      without.push_back(parameter);
    }
  }
  ControllerUnderTest test(without);
  EXPECT_FALSE(test.started);
  EXPECT_TRUE(log.has("gravity_compensation")) << log.all();
}

TEST(Lifecycle, BadParametersAreRefusedByNameAndRange)
{
  const std::vector<double> five(5, 1.0);
  expect_refused({{"profiles.compliance.stiffness", std::vector<double>{2e4, 1, 1, 1, 1, 1}},
      "profiles.compliance.stiffness[0] = 20000 is outside [0, 10000]"});
  expect_refused({{"profiles.precision.clip_pos", std::vector<double>{0.01, 0.01, 0.01, 0.05, 9.0, 0.05}},
      "profiles.precision.clip_pos[4] = 9 is outside [1e-06, 3.14]"});
  expect_refused({{"profiles.compliance.damping", five}, "profiles.compliance.damping has 5 values and needs 6"});
  expect_refused({{"pose_timeout", -1.0}, "pose_timeout = -1 is outside"});
  expect_refused({{"torque_rate", five}, "torque_rate has 5 values"});
  expect_refused({{"torque_limit", std::vector<double>{50.0}}, "torque_limit[4] = 50 is above the effort limit 12"});
  expect_refused({{"workspace", five}, "workspace has 5 values; it must be empty or six numbers"});
  expect_refused({{"workspace", std::vector<double>{0, 0, 0, 1, -1, 1}},
      "workspace: along y the low corner is at 0 and the high one at -1"});
  expect_refused({{"mode", "position"}, "mode"});
  expect_refused({{"profile", "soft"}, "profile: there is no 'soft'; profile_names has compliance, precision"});
  expect_refused({{"joints", std::vector<std::string>{"joint1", "elbow"}}, "no movable joint 'elbow'"});
  expect_refused({{"joints", std::vector<std::string>{"joint1", "joint2"}}, "6 or 7 joints, not for 2"});
  expect_refused({{"base_frame", "floor"}, "base_frame: robot_description has no link 'floor'"});
  expect_refused({{"tcp_frame", "table"}, "does not move tcp_frame 'table'"});
  expect_refused({{"rotor_inertia", five}, "rotor_inertia has 5 values"});
  expect_refused({{"external_wrench.source", "sensor"}, "external_wrench.sensor_name is empty"});
}

TEST(Lifecycle, AnEmptyRobotDescriptionIsNamed)
{
  LogCapture log;
  ControllerUnderTest test(law::test::usual_parameters(), "");
  ASSERT_TRUE(test.started);
  EXPECT_EQ(test.configure(), "unconfigured");
  EXPECT_TRUE(log.has("robot_description is empty")) << log.all();
}

TEST(Lifecycle, ASecondControllerOnTheSameTargetsIsNotConfiguredUntilTheFirstIsCleanedUp)
{
  LogCapture log;
  ControllerUnderTest first, second;
  ASSERT_EQ(first.configure(), "inactive");
  EXPECT_EQ(second.configure(), "unconfigured");
  EXPECT_TRUE(log.has("would both follow '/target_pose'")) << log.all();
  first.controller.get_node()->cleanup();
  EXPECT_EQ(second.configure(), "inactive");
}

TEST(Lifecycle, ClaimsEffortOfTheJointsAndReadsWhatItNeeds)
{
  ControllerUnderTest test(with({{"external_wrench.effort", "measured"}}));
  EXPECT_EQ(test.configure(), "inactive");
  EXPECT_EQ(test.controller.command_interface_configuration().names.front(), "joint1/effort");
  const auto states = test.controller.state_interface_configuration().names;
  ASSERT_EQ(states.size(), 21u);
  EXPECT_EQ(states[0], "joint1/position");
  EXPECT_EQ(states[7], "joint1/velocity");
  EXPECT_EQ(states[14], "joint1/effort");
}

TEST(Lifecycle, DoesNotActivateOnAJointThatIsNotANumber)
{
  LogCapture log;
  ControllerUnderTest test;
  EXPECT_EQ(test.configure(), "inactive");
  test.plant.q[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(test.activate(), "inactive");
  EXPECT_TRUE(log.has("check the hardware")) << log.all();
  test.plant.q = law::test::bent_posture();
  EXPECT_EQ(test.activate(), "active");
}

TEST(Lifecycle, TheCheckOfGainsCountsTheRotors)
{
  const auto activated = [](double rotor) {
      ControllerUnderTest test(with(
        {{"unstable_gains", "refuse"}, {"rotor_inertia", std::vector<double>{rotor}}, {"delay", 0.0},
          {"profiles.compliance.damping_kind", "fixed"},
          {"profiles.compliance.damping", std::vector<double>{89.0, 89.0, 89.0, 60.0, 60.0, 60.0}}}));
      EXPECT_EQ(test.configure(), "inactive");
      return test.activate();
    };
  EXPECT_EQ(activated(0.0), "inactive");
  EXPECT_EQ(activated(0.5), "active");
}

TEST(Lifecycle, BeginsWithGravityAloneAndLeavesGravityBehind)
{
  ControllerUnderTest test;
  test.start();
  test.moves = false;
  test.tick();
  EXPECT_LT((test.torque - test.plant.gravity).norm(), 1e-9);
  test.controller.control().set_target(test.target(0.1));
  test.ticks(50);
  EXPECT_GT((test.torque - test.plant.gravity).norm(), 1.0);
  EXPECT_EQ(test.deactivate(), "inactive");
  test.read_torque();
  EXPECT_LT((test.torque - test.plant.gravity).norm(), 1e-9);
}

TEST(Lifecycle, LeavesNothingBehindWhereTheArmBearsItself)
{
  ControllerUnderTest test(with({{"gravity_compensation", false}}));
  test.start();
  test.moves = false;
  test.controller.control().set_target(test.target(0.1));
  test.ticks(50);
  EXPECT_GT(test.torque.norm(), 1.0);
  test.deactivate();
  test.read_torque();
  EXPECT_EQ(test.torque.norm(), 0.0);
}

TEST(Lifecycle, ActivationForgetsTargetsAndFaultsAndHoldsWhereTheArmIsThen)
{
  ControllerUnderTest test;
  test.start();
  auto wrong = test.target(0.0);
  wrong.frame = law::frame_hash("camera");
  test.controller.control().set_target(wrong);
  test.ticks(2);
  ASSERT_TRUE(test.controller.control().fault());
  test.deactivate();
  test.controller.control().set_target(test.target(0.3));  // between two activations
  test.plant.q[1] += 0.4;                                  // moved by hand
  test.plant.dq.setZero();
  test.model.update(test.plant);
  const law::Vector3 where = test.plant.pose.position;
  ASSERT_EQ(test.activate(), "active");
  for (int i = 0; i < 500; ++i) {
    test.tick();
    ASSERT_LT((test.plant.pose.position - where).norm(), 1e-4) << "tick " << i;
  }
  EXPECT_FALSE(test.controller.control().fault());
}

TEST(Lifecycle, CanBeCleanedUpAndConfiguredAgain)
{
  ControllerUnderTest test;
  test.start();
  test.ticks(3);
  test.deactivate();
  EXPECT_EQ(std::string(test.controller.get_node()->cleanup().label()), "unconfigured");
  test.executor.spin_some();
  EXPECT_TRUE(test.set({"pose_timeout", 0.7}));  // nobody is there to apply it; it counts from the next configuration
  test.start();
  test.ticks(3);
  EXPECT_EQ(test.controller.control().status().fault.code, law::FaultCode::kNone);
}
