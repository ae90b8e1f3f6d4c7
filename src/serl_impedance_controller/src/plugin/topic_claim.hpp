// SPDX-License-Identifier: Apache-2.0
/// \file
/// A topic of targets belongs to one controller of a process: two would follow, and fault on, each other's targets.
#ifndef PLUGIN__TOPIC_CLAIM_HPP_
#define PLUGIN__TOPIC_CLAIM_HPP_

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace serl_impedance_controller
{

/// Held while a controller is configured; not for a tick. Controller managers are processes, so that two controllers of
/// one manager see each other here; those of two managers do not.
class TopicClaim
{
public:
  /// Raises std::invalid_argument, naming both, if another controller has the topic.
  ///
  /// \param topic  fully qualified
  /// \param owner  fully qualified name of the controller's node
  TopicClaim(std::string topic, const std::string & owner)
  : topic_(std::move(topic))
  {
    const std::lock_guard<std::mutex> lock(mutex());
    const auto [found, taken] = owners().emplace(topic_, owner);
    if (!taken) {
      throw std::invalid_argument(
        "'" + owner + "' and '" + found->second + "' would both follow '" + topic_ +
        "'; give each arm a controller manager in a namespace of its own, or remap the topics of one "
        "(spawner: --controller-ros-args \"-r target_pose:=left/target_pose ...\")");
    }
  }

  ~TopicClaim()
  {
    const std::lock_guard<std::mutex> lock(mutex());
    owners().erase(topic_);
  }

  TopicClaim(const TopicClaim &) = delete;
  TopicClaim & operator=(const TopicClaim &) = delete;

private:
  static std::mutex & mutex()
  {
    static std::mutex instance;
    return instance;
  }

  static std::map<std::string, std::string> & owners()
  {
    static std::map<std::string, std::string> instance;
    return instance;
  }

  std::string topic_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__TOPIC_CLAIM_HPP_
