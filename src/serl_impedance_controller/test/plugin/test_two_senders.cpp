// SPDX-License-Identifier: Apache-2.0
// Two nodes that send targets to one controller, over the middleware.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>
#include <hil_serl_msgs/msg/arm_state.hpp>

#include "controller_under_test.hpp"
#include "log_capture.hpp"

namespace law = serl_impedance_controller;
using geometry_msgs::msg::PoseStamped;
using geometry_msgs::msg::WrenchStamped;
using law::test::ControllerUnderTest;
using law::test::LogCapture;
using law::test::with;

namespace
{

/// A node that sends where the arm is, or no wrench.
template <typename Message>
class Sender
{
public:
  Sender(const std::string & name, const std::string & topic)
  : node_(std::make_shared<rclcpp::Node>(name, "/cell")),
    publisher_(node_->create_publisher<Message>("/" + topic, 1))
  {
  }

  void send(const ControllerUnderTest & test)
  {
    Message message;
    message.header.stamp = test.now();
    fill(message, test);
    publisher_->publish(message);
  }

private:
  static void fill(PoseStamped & message, const ControllerUnderTest & test)
  {
    const law::Pose pose = test.target(0.0).pose;
    message.header.frame_id = "arm_base";
    message.pose.position.x = pose.position.x();
    message.pose.position.y = pose.position.y();
    message.pose.position.z = pose.position.z();
    message.pose.orientation.x = pose.orientation.x();
    message.pose.orientation.y = pose.orientation.y();
    message.pose.orientation.z = pose.orientation.z();
    message.pose.orientation.w = pose.orientation.w();
  }

  static void fill(WrenchStamped & message, const ControllerUnderTest &) {message.header.frame_id = "tool";}

  rclcpp::Node::SharedPtr node_;
  typename rclcpp::Publisher<Message>::SharedPtr publisher_;
};

void listen(ControllerUnderTest & test)
{
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  test.executor.spin_all(std::chrono::milliseconds(50));
  test.tick();
}

/// Lets `each` send every 20 ms, for so long or until the law has a fault; true if it has.
template <typename Each>
bool fault_within(ControllerUnderTest & test, double seconds, const Each & each)
{
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!test.controller.control().fault() && std::chrono::steady_clock::now() < end) {
    each();
    listen(test);
  }
  return static_cast<bool>(test.controller.control().fault());
}

template <typename Message>
void expect_both_named(const std::string & topic, const std::string & mode)
{
  ControllerUnderTest test(with({{"mode", mode}}));
  test.start();
  Sender<Message> actor("actor", topic), stranger("stranger", topic);
  EXPECT_FALSE(fault_within(test, 1.0, [&] {actor.send(test);}));
  LogCapture log;
  ASSERT_TRUE(fault_within(test, 30.0, [&] {actor.send(test); stranger.send(test);}));
  EXPECT_EQ(test.controller.control().fault().code, law::FaultCode::kTwoSenders);
  const std::string names = test.controller.control().senders();
  EXPECT_NE(names.find("/cell/actor"), names.npos) << names;
  EXPECT_NE(names.find("/cell/stranger"), names.npos) << names;
  for (int i = 0; i < 100 && !log.has("two nodes send it"); ++i) {
    listen(test);
  }
  EXPECT_TRUE(log.has("/cell/stranger") && log.has("/cell/actor") && log.has("reset_fault")) << log.all();
}

}  // namespace

TEST(TwoSenders, OfPosesAreRefusedAndNamed) {expect_both_named<PoseStamped>("target_pose", "impedance");}

TEST(TwoSenders, OfWrenchesAreRefusedAndNamed) {expect_both_named<WrenchStamped>("target_wrench", "wrench");}

TEST(TwoSenders, OfOneNameAreToldFromOne)
{
  ControllerUnderTest test;
  test.start();
  Sender<PoseStamped> actor("actor", "target_pose"), other("actor", "target_pose");
  ASSERT_TRUE(fault_within(test, 30.0, [&] {actor.send(test); other.send(test);}));
  EXPECT_STREQ(test.controller.control().senders(), "/cell/actor and another of this name");
}

TEST(TwoSenders, OneThatLeavesMakesRoomForTheNext)
{
  ControllerUnderTest test;
  test.start();
  auto actor = std::make_unique<Sender<PoseStamped>>("actor", "target_pose");
  EXPECT_FALSE(fault_within(test, 1.0, [&] {actor->send(test);}));
  actor.reset();
  Sender<PoseStamped> next("actor", "target_pose");
  EXPECT_FALSE(fault_within(test, 2.0, [&] {next.send(test);}));
}

TEST(TwoSenders, AResetIsOfNoUseUntilOneStops)
{
  ControllerUnderTest test;
  test.start();
  Sender<PoseStamped> actor("actor", "target_pose"), stranger("stranger", "target_pose");
  const auto both = [&] {actor.send(test); stranger.send(test);};
  ASSERT_TRUE(fault_within(test, 30.0, both));
  test.controller.control().request_reset();
  test.tick();
  EXPECT_FALSE(test.controller.control().fault());
  EXPECT_TRUE(fault_within(test, 30.0, both));
  for (int i = 0; i < 10; ++i) {
    actor.send(test);
    listen(test);
  }
  test.controller.control().request_reset();
  test.tick();
  EXPECT_FALSE(fault_within(test, 2.0, [&] {actor.send(test);}));
}

TEST(TwoSenders, TheTextOfTheArmsStateNamesThem)
{
  ControllerUnderTest test;
  test.start();
  hil_serl_msgs::msg::ArmState state;
  const auto node = std::make_shared<rclcpp::Node>("listener");
  const auto subscription = node->create_subscription<hil_serl_msgs::msg::ArmState>(
    "/arm_state", rclcpp::QoS(1).best_effort(),
    [&](const hil_serl_msgs::msg::ArmState & message) {state = message;});
  Sender<PoseStamped> actor("actor", "target_pose"), stranger("stranger", "target_pose");
  ASSERT_TRUE(fault_within(test, 30.0, [&] {actor.send(test); stranger.send(test);}));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (state.fault == 0 && std::chrono::steady_clock::now() < end) {
    test.ticks(10);
    rclcpp::spin_some(node);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(state.fault, 11u);
  EXPECT_NE(state.fault_text.find("/cell/stranger"), std::string::npos) << state.fault_text;
}
