// SPDX-License-Identifier: Apache-2.0
// The active controller: targets, faults, live gains, modes, arm_state, and a real-time thread that does not allocate.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <hil_serl_msgs/msg/arm_state.hpp>
#include <std_srvs/srv/trigger.hpp>

#include "controller_under_test.hpp"
#include "counting_malloc.hpp"
#include "log_capture.hpp"

namespace law = serl_impedance_controller;
using hil_serl_msgs::msg::ArmState;
using law::test::ControllerUnderTest;
using law::test::LogCapture;
using law::test::with;
using std_srvs::srv::Trigger;

namespace
{

/// Another node that talks to the controller.
class Peer
{
public:
  explicit Peer(ControllerUnderTest & test)
  : test_(test), node(std::make_shared<rclcpp::Node>("peer"))
  {
    test_.executor.add_node(node);
  }
  ~Peer() {test_.executor.remove_node(node);}

  /// Let messages pass, and ticks too, until `done` or for half a minute; true if done.
  bool until(const std::function<bool()> & done, const std::function<void()> & each = [] {})
  {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done() && std::chrono::steady_clock::now() < end) {
      each();
      test_.tick();
      test_.executor.spin_some(std::chrono::milliseconds(10));
    }
    return done();
  }

private:
  ControllerUnderTest & test_;

public:
  rclcpp::Node::SharedPtr node;
};

double far_from(const ControllerUnderTest & test, const law::Vector3 & where)
{
  return (test.plant.pose.position - where).norm();
}

}  // namespace

TEST(Control, FollowsATargetFromTheTopicWithoutAJumpAtTheStart)
{
  ControllerUnderTest test(with({{"torque_rate", std::vector<double>{1.0}}, {"pose_timeout", 100.0}}));
  test.start();
  Peer peer(test);
  const auto publisher = peer.node->create_publisher<geometry_msgs::msg::PoseStamped>("target_pose", 1);
  const law::Vector3 start = test.plant.pose.position;
  const law::Pose pose = test.target(0.06).pose;   // six times as far as the clip
  geometry_msgs::msg::PoseStamped message;
  message.header.frame_id = "arm_base";
  message.pose.position.x = pose.position.x();
  message.pose.position.y = pose.position.y();
  message.pose.position.z = pose.position.z();
  message.pose.orientation.x = pose.orientation.x();
  message.pose.orientation.y = pose.orientation.y();
  message.pose.orientation.z = pose.orientation.z();
  message.pose.orientation.w = pose.orientation.w();
  double largest_change = 0.0;   // of the whole torque, gravity and Coriolis included, from tick to tick
  const bool arrived = peer.until(
    [&] {return far_from(test, pose.position) < 1e-3;},
    [&] {
      message.header.stamp = test.now();
      publisher->publish(message);
      Eigen::VectorXd last;
      for (int i = 0; i < 20; ++i) {
        const Eigen::VectorXd torque = test.tick();
        if (i > 0) {
          largest_change = std::max(largest_change, (torque - last).cwiseAbs().maxCoeff());
        }
        last = torque;
      }
    });
  EXPECT_TRUE(arrived) << far_from(test, pose.position) << " m away, from " << far_from(test, start);
  EXPECT_LE(largest_change, 1.0 + 1e-9);
  EXPECT_FALSE(test.controller.control().fault());
}

TEST(Control, TheForceAgainstAWallIsBoundedByTheClip)
{
  ControllerUnderTest test(with({{"pose_timeout", 100.0}}));
  test.start();
  test.moves = false;   // the wall: the arm cannot move
  test.controller.control().set_target(test.target(0.3));
  test.ticks(2000);
  const law::ArmSample & arm = test.plant;
  const Eigen::VectorXd added = test.torque - arm.gravity;
  const law::Vector6 force = (arm.jacobian * arm.jacobian.transpose()).ldlt().solve(arm.jacobian * added);
  EXPECT_NEAR(force[0], 2000.0 * 0.01, 1e-3);   // k_p clip
}

TEST(Control, BadTargetsLatchAFaultThatIsLoggedWithItsRemedyAndResetByTheService)
{
  ControllerUnderTest test;
  test.start();
  Peer peer(test);
  const auto client = peer.node->create_client<Trigger>("reset_fault");
  const law::Vector3 start = test.plant.pose.position;
  const auto bad = [&](const std::function<void(law::PoseTarget &)> & spoil) {
      auto target = test.target(0.2);
      spoil(target);
      return target;
    };
  const std::vector<std::pair<law::PoseTarget, law::FaultCode>> targets = {
    {bad([](auto & t) {t.frame = law::frame_hash("world");}), law::FaultCode::kBadFrame},
    {bad([](auto & t) {t.pose.position.y() = NAN;}), law::FaultCode::kNotFinite},
    {bad([](auto & t) {t.pose.orientation.coeffs() *= 2.0;}), law::FaultCode::kBadQuaternion},
    {bad([](auto & t) {t.stamp -= 3.0;}), law::FaultCode::kStaleTarget}};
  for (const auto & [target, code] : targets) {
    LogCapture log;
    test.controller.control().set_target(target);
    test.ticks(300);
    ASSERT_EQ(test.controller.control().fault().code, code);
    EXPECT_LT(far_from(test, start), 1e-4);
    test.controller.control().set_target(test.target(0.2));   // good, but the fault is latched
    test.ticks(300);
    EXPECT_LT(far_from(test, start), 1e-4);
    ASSERT_TRUE(peer.until([&] {return client->service_is_ready();}));
    EXPECT_TRUE(peer.until([&] {return log.has("Fault: target pose: ") && log.has("ros2 service call /reset_fault");}))
      << log.all();
    const auto answer = client->async_send_request(std::make_shared<Trigger::Request>()).share();
    ASSERT_TRUE(
      peer.until([&] {return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;}));
    EXPECT_TRUE(answer.get()->success) << answer.get()->message;
    EXPECT_FALSE(test.controller.control().fault());
  }
}

TEST(Control, AResetWhoseCausePersistsSaysSo)
{
  ControllerUnderTest test;
  test.start();
  test.moves = false;
  Peer peer(test);
  const auto client = peer.node->create_client<Trigger>("reset_fault");
  test.plant.dq[2] = std::numeric_limits<double>::infinity();
  test.ticks(2);
  ASSERT_EQ(test.controller.control().fault().code, law::FaultCode::kNotFinite);
  EXPECT_TRUE(test.torque.allFinite());
  ASSERT_TRUE(peer.until([&] {return client->service_is_ready();}));
  const auto answer = client->async_send_request(std::make_shared<Trigger::Request>()).share();
  ASSERT_TRUE(peer.until([&] {return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;}));
  EXPECT_FALSE(answer.get()->success);
  EXPECT_NE(answer.get()->message.find("came back at once: joint velocities"), std::string::npos);
}

TEST(Control, AStaleTargetEndsInAHoldThatTheNextTargetEndsWhereThatIsAskedFor)
{
  ControllerUnderTest test(with({{"stale_target", "hold"}}));
  test.start();
  test.controller.control().set_target(test.target(0.05));
  test.ticks(1500);   // stale after 500
  EXPECT_FALSE(test.controller.control().fault());
  EXPECT_TRUE(test.controller.control().status().holding);
  test.controller.control().set_target(test.target(0.05));
  test.ticks(2);
  EXPECT_FALSE(test.controller.control().status().holding);
}

TEST(Control, GainsChangeLiveAndOutOfRangeIsRefusedByName)
{
  ControllerUnderTest test(with({{"pose_timeout", 100.0}}));
  test.start();
  test.moves = false;
  const auto pull = [&] {
      test.ticks(1000);
      const law::ArmSample & arm = test.plant;
      const Eigen::VectorXd added = test.torque - arm.gravity;
      return law::Vector6((arm.jacobian * arm.jacobian.transpose()).ldlt().solve(arm.jacobian * added))[0];
    };
  test.controller.control().set_target(test.target(0.3));
  EXPECT_NEAR(pull(), 20.0, 1e-3);
  EXPECT_TRUE(test.set({"profiles.compliance.clip_neg", std::vector<double>{0.005, 0.01, 0.01, 0.05, 0.05, 0.05}}));
  EXPECT_NEAR(pull(), 10.0, 1e-3);
  EXPECT_TRUE(test.set({"profile", "precision"}));
  EXPECT_NEAR(pull(), 30.0, 1e-3);
  std::string reason;
  EXPECT_FALSE(test.set({"profiles.precision.stiffness", std::vector<double>(6, 5000.0)}, &reason));
  EXPECT_NE(reason.find("profiles.precision.stiffness[3] = 5000 is outside [0, 1000]"), std::string::npos) << reason;
  EXPECT_FALSE(test.set({"profile", "firm"}, &reason));
  EXPECT_NE(reason.find("profile: there is no 'firm'"), std::string::npos) << reason;
  EXPECT_FALSE(test.set({"torque_limit", std::vector<double>{500.0}}, &reason));
  EXPECT_NE(reason.find("above the effort limit 87"), std::string::npos) << reason;
  EXPECT_FALSE(test.set({"torque_rate", std::vector<double>{1.0, 2.0}}, &reason));
  EXPECT_FALSE(test.set({"base_frame", "table"}, &reason));
  EXPECT_NEAR(pull(), 30.0, 1e-3);
  EXPECT_EQ(test.controller.get_node()->get_parameter("profile").as_string(), "precision");
}

TEST(Control, WrenchModePushesAndLeavesTheModeByHolding)
{
  ControllerUnderTest test(with({{"mode", "wrench"}, {"wrench_timeout", 100.0}}));
  test.start();
  test.moves = false;
  law::WrenchTarget push;
  push.wrench << 0.0, 0.0, 5.0, 0.0, 0.0, 0.0;   // along the tool's z
  push.stamp = test.now().seconds();
  push.frame = law::frame_hash("tool");
  test.controller.control().set_target(push);
  test.ticks(200);
  const law::ArmSample & arm = test.plant;
  const Eigen::VectorXd added = test.torque - arm.gravity;
  const law::Vector6 wrench = (arm.jacobian * arm.jacobian.transpose()).ldlt().solve(arm.jacobian * added);
  const law::Vector3 along = arm.pose.orientation * law::Vector3(0.0, 0.0, 5.0);
  EXPECT_LT((wrench.head<3>() - along).norm(), 1e-3);
  test.moves = true;
  EXPECT_TRUE(test.set({"mode", "impedance"}));
  const law::Vector3 where = test.plant.pose.position;
  test.ticks(500);
  EXPECT_LT(far_from(test, where), 2e-3);
  EXPECT_TRUE(test.controller.control().status().holding);
}

TEST(Control, ArmStateComesAtItsRateWithAllThatItPromises)
{
  ControllerUnderTest test(with({{"state_rate", 50.0}, {"gripper_timeout", 3600.0}}));
  test.start();
  Peer peer(test);
  std::vector<ArmState> states;
  const auto subscription = peer.node->create_subscription<ArmState>(
    "arm_state", rclcpp::QoS(100).best_effort(), [&](const ArmState & state) {states.push_back(state);});
  ASSERT_TRUE(peer.until([&] {return states.size() > 3;}));
  EXPECT_TRUE(std::isnan(states.back().gripper_position));
  // One message in twenty ticks; a busy machine may lose some.
  const auto apart = rclcpp::Time(states[2].header.stamp).nanoseconds() -
    rclcpp::Time(states[1].header.stamp).nanoseconds();
  EXPECT_EQ(apart % (20 * ControllerUnderTest::kPeriod), 0);
  EXPECT_GT(apart, 0);

  const auto gripper = peer.node->create_publisher<std_msgs::msg::Float64>("gripper/state", 1);
  test.pushed << 0.0, 0.0, -6.0, 0.0, 0.0, 0.0;
  ASSERT_TRUE(peer.until(
    [&] {return states.back().gripper_position == 0.25 && std::abs(states.back().external_wrench.force.z + 6.0) < 0.3;},
    [&] {
      std_msgs::msg::Float64 opening;
      opening.data = 0.25;
      gripper->publish(opening);
      test.ticks(19);
    })) << states.back().gripper_position << " " << states.back().external_wrench.force.z;
  const ArmState & state = states.back();
  EXPECT_EQ(state.header.frame_id, "arm_base");
  EXPECT_EQ(state.tcp_frame, "tool");
  EXPECT_EQ(state.joint_position.size(), 7u);
  EXPECT_EQ(state.joint_effort.size(), 7u);
  EXPECT_NEAR(state.tcp_pose.position.x, test.plant.pose.position.x(), 0.01);
  EXPECT_NEAR(state.tcp_pose.orientation.w, test.plant.pose.orientation.w(), 0.01);
  EXPECT_NEAR(state.target_pose.position.x, test.plant.pose.position.x(), 0.02);
  EXPECT_EQ(state.fault, 0u);
  EXPECT_TRUE(state.fault_text.empty());

  test.plant.dq[0] = std::numeric_limits<double>::quiet_NaN();
  test.moves = false;
  ASSERT_TRUE(peer.until([&] {return states.back().fault == 1u;}));
  EXPECT_EQ(states.back().fault_text.rfind("joint velocities: not a finite number", 0), 0u);
}

TEST(Control, ASensorsWrenchIsTurnedAndMovedToTheTcp)
{
  ControllerUnderTest test(with(
    {{"external_wrench.source", "sensor"}, {"external_wrench.sensor_name", "wrist"},
      {"external_wrench.sensor_frame", "wrist_sensor"}, {"external_wrench.inverted", true}}));
  test.start();
  test.moves = false;
  const law::Pose sensor = test.model.fixed_in_tcp("wrist_sensor");
  const law::Matrix3 in_base = (test.plant.pose.orientation * sensor.orientation).toRotationMatrix();
  const law::Vector3 force(4.0, -2.0, 7.0);           // on the tool at the tcp, base axes, no torque about it
  const law::Vector3 arm = -(test.plant.pose.orientation * sensor.position);   // sensor to tcp
  const law::Vector3 measured_force = -(in_base.transpose() * force);
  const law::Vector3 measured_torque = -(in_base.transpose() * arm.cross(force));
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(test.states[14 + i]->set_value(measured_force[static_cast<Eigen::Index>(i)]));
    ASSERT_TRUE(test.states[17 + i]->set_value(measured_torque[static_cast<Eigen::Index>(i)]));
  }
  Peer peer(test);
  ArmState state;
  const auto subscription = peer.node->create_subscription<ArmState>(
    "arm_state", rclcpp::QoS(1).best_effort(), [&](const ArmState & message) {state = message;});
  ASSERT_TRUE(peer.until([&] {return !state.tcp_frame.empty();}, [&] {test.ticks(9);}));
  const auto & f = state.external_wrench.force;
  const auto & t = state.external_wrench.torque;
  EXPECT_LT((law::Vector3(f.x, f.y, f.z) - force).norm(), 1e-9);
  EXPECT_LT(law::Vector3(t.x, t.y, t.z).norm(), 1e-9);
}

TEST(Control, DiagnosticsNameTheFaultAndTheWayOut)
{
  ControllerUnderTest test;
  test.start();
  Peer peer(test);
  diagnostic_msgs::msg::DiagnosticStatus line;
  const auto subscription = peer.node->create_subscription<diagnostic_msgs::msg::DiagnosticArray>(
    "/diagnostics", 10, [&](const diagnostic_msgs::msg::DiagnosticArray & message) {line = message.status.at(0);});
  ASSERT_TRUE(peer.until([&] {return line.message == "holding, no target";}));
  EXPECT_EQ(line.name, "cartesian_controller: control law");
  auto wrong = test.target(0.0);
  wrong.frame = 0;
  test.controller.control().set_target(wrong);
  ASSERT_TRUE(peer.until([&] {return line.level == diagnostic_msgs::msg::DiagnosticStatus::ERROR;}));
  EXPECT_NE(line.message.find("another frame"), std::string::npos);
  EXPECT_NE(line.message.find("ros2 service call /reset_fault"), std::string::npos);
}

TEST(Control, UpdateDoesNotAllocate)
{
  ControllerUnderTest test(with({{"state_rate", 1000.0}, {"stale_target", "hold"}}));
  test.start();
  test.moves = false;
  test.ticks(5);
  const long before_setting = law::test::allocations;
  test.set({"profile", "precision"});
  EXPECT_GT(law::test::allocations, before_setting);   // the counter sees what the plugin's library allocates
  long inside = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i % 50 == 0) {
      test.set({"profile", i % 100 == 0 ? "precision" : "compliance"});
      test.set({"mode", i % 200 < 100 ? "impedance" : "wrench"});
    }
    if (i % 300 == 299) {
      test.controller.control().request_reset();
    }
    auto target = test.target(0.01);
    if (i % 300 == 150) {
      target.frame = 0;   // latches a fault, whose text is then in arm_state
    }
    test.controller.control().set_target(target);
    test.time += ControllerUnderTest::kPeriod;
    test.show_joints();
    const rclcpp::Time now = test.now();
    const rclcpp::Duration period(std::chrono::nanoseconds(ControllerUnderTest::kPeriod));
    const long before = law::test::allocations;
    test.controller.update(now, period);
    inside += law::test::allocations - before;
  }
  EXPECT_EQ(inside, 0);
}
