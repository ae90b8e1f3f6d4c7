// SPDX-License-Identifier: Apache-2.0
#include "target_inputs.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "sender_watch.hpp"

namespace serl_impedance_controller
{

namespace
{

constexpr std::size_t kHeard = 20;   // the newest counts, but who sent those before it does too

using Gid = std::array<std::uint8_t, RMW_GID_STORAGE_SIZE>;

double steady_seconds()
{
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Unlike rclcpp::Time this does not throw on a negative stamp, which is just a very old one.
double seconds(const builtin_interfaces::msg::Time & stamp)
{
  return static_cast<double>(stamp.sec) + 1e-9 * static_cast<double>(stamp.nanosec);
}

PoseTarget target_of(const geometry_msgs::msg::PoseStamped & message)
{
  const auto & p = message.pose.position;
  const auto & o = message.pose.orientation;
  PoseTarget target;
  target.pose.position = Vector3(p.x, p.y, p.z);
  target.pose.orientation = Eigen::Quaterniond(o.w, o.x, o.y, o.z);
  target.stamp = seconds(message.header.stamp);
  target.frame = frame_hash(message.header.frame_id);
  return target;
}

WrenchTarget target_of(const geometry_msgs::msg::WrenchStamped & message)
{
  const auto & f = message.wrench.force;
  const auto & t = message.wrench.torque;
  WrenchTarget target;
  target.wrench << f.x, f.y, f.z, t.x, t.y, t.z;
  target.stamp = seconds(message.header.stamp);
  target.frame = frame_hash(message.header.frame_id);
  return target;
}

/// Senders of one topic. It holds what it uses: a callback may still run while the controller is being cleaned up.
class Senders
{
public:
  Senders(
    rclcpp_lifecycle::LifecycleNode & node, std::shared_ptr<ArmControl> control, const char * input,
    const std::string & topic)
  : graph_(node.get_node_graph_interface()), control_(std::move(control)), input_(input),
    topic_(node.get_node_topics_interface()->resolve_topic_name(topic))
  {
  }

  void hear(const rclcpp::MessageInfo & info)
  {
    Gid gid;
    std::copy_n(std::begin(info.get_rmw_message_info().publisher_gid.data), gid.size(), gid.begin());
    if (const auto both = watch_.hear(gid, steady_seconds())) {
      control_->refuse_senders(input_, names_of(std::minmax(both->first, both->second)));
    }
  }

private:
  std::string names_of(const std::pair<Gid, Gid> & both) const
  {
    std::string first = kUnknown, second = kUnknown;
    for (const auto & publisher : graph_->get_publishers_info_by_topic(topic_)) {
      const auto & gid = publisher.endpoint_gid();
      if (gid == both.first) {
        first = name_of(publisher);
      } else if (gid == both.second) {
        second = name_of(publisher);
      }
    }
    return first == second ? first + " and another of this name" : first + " and " + second;
  }

  static std::string name_of(const rclcpp::TopicEndpointInfo & publisher)
  {
    const std::string & space = publisher.node_namespace();
    return space + (space.empty() || space.back() != '/' ? "/" : "") + publisher.node_name();
  }

  static constexpr const char * kUnknown = "a node that has left";

  std::shared_ptr<rclcpp::node_interfaces::NodeGraphInterface> graph_;
  std::shared_ptr<ArmControl> control_;
  const char * input_;
  std::string topic_;
  SenderWatch<Gid> watch_;
};

template <typename Message>
typename rclcpp::Subscription<Message>::SharedPtr follow(
  rclcpp_lifecycle::LifecycleNode & node, const std::shared_ptr<ArmControl> & control, const char * input,
  const std::string & topic)
{
  auto senders = std::make_shared<Senders>(node, control, input, topic);
  return node.create_subscription<Message>(
    topic, rclcpp::QoS(kHeard), [control, senders](const Message & message, const rclcpp::MessageInfo & info) {
      senders->hear(info);
      control->set_target(target_of(message));
    });
}

TopicClaim claim(rclcpp_lifecycle::LifecycleNode & node, const std::string & topic)
{
  return TopicClaim(
    node.get_node_topics_interface()->resolve_topic_name(topic), node.get_fully_qualified_name());
}

}  // namespace

TargetInputs::TargetInputs(
  rclcpp_lifecycle::LifecycleNode & node, const std::shared_ptr<ArmControl> & control)
: pose_claim_(claim(node, "target_pose")), wrench_claim_(claim(node, "target_wrench")),
  pose_(follow<geometry_msgs::msg::PoseStamped>(node, control, "target pose", "target_pose")),
  wrench_(follow<geometry_msgs::msg::WrenchStamped>(node, control, "target wrench", "target_wrench"))
{
}

}  // namespace serl_impedance_controller
