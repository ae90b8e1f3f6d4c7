// SPDX-License-Identifier: Apache-2.0
/// \file
/// Two nodes that send targets to one arm are told from one that takes over from the other. No ROS.
#ifndef PLUGIN__SENDER_WATCH_HPP_
#define PLUGIN__SENDER_WATCH_HPP_

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace serl_impedance_controller
{

/// Who sends to a topic, by the order and the times of the messages.
///
/// One sender hands over to another (the actor to the cell's reset motion, and back) without a silence: messages
/// cross, so that the former is still heard after the latter. But then it pauses for longer than it did between its
/// messages. Two that go on, each at its own pace, while their messages cross for longer than a handover, or for a third
/// time, both command the arm. A single message of a stranger cannot be told from a handover.
///
/// \tparam Id  identifies a sender; needs operator<
template <typename Id>
class SenderWatch
{
public:
  static constexpr double kHandover = 1.0;   ///< for how long messages of two senders may cross [s]
  static constexpr double kPause = 3.0;      ///< a sender that is silent for so many periods has paused
  static constexpr double kMemory = 10.0;    ///< after which a silent sender is forgotten [s]

  /// A message of `sender`.
  ///
  /// \param now  time of a steady clock [s]
  /// \return the two that both send, if there are two
  std::optional<std::pair<Id, Id>> hear(const Id & sender, double now)
  {
    forget([&](const Id & id) {return now - senders_.at(id).last > kMemory;});
    if (has_paused(sender, now)) {
      forget_crossings([&](const Id & id) {return same(id, sender);});
    }
    std::optional<std::pair<Id, Id>> both;
    for (const auto & [other, pace] : senders_) {
      if (same(other, sender)) {
        continue;
      }
      if (crossings_[{sender, other}].goes_on()) {
        both.emplace(sender, other);
      }
      crossings_[{other, sender}].interrupted = now;
    }
    return both;
  }

private:
  struct Pace
  {
    double last = 0.0;                // [s]
    std::optional<double> period;     // mean [s]
  };

  /// Of two senders' messages: those of the second between two of the first.
  struct Crossing
  {
    std::optional<double> interrupted;    // when the second spoke since the first did [s]
    int groups = 0;                       // apart by more than a handover
    double began = 0.0, latest = 0.0;     // of the newest group [s]

    /// The first one speaks. True if it and the second one both send.
    bool goes_on()
    {
      if (!interrupted) {
        return false;
      }
      if (groups == 0 || *interrupted - latest > kHandover) {
        ++groups;
        began = *interrupted;
      }
      latest = *interrupted;
      interrupted.reset();
      return groups > 2 || latest - began > kHandover;
    }
  };

  static bool same(const Id & a, const Id & b) {return !(a < b) && !(b < a);}

  /// Before this message; takes it into account.
  bool has_paused(const Id & sender, double now)
  {
    const auto [found, is_new] = senders_.emplace(sender, Pace{now, std::nullopt});
    if (is_new) {
      return false;
    }
    Pace & pace = found->second;
    const double gap = now - pace.last;
    pace.last = now;
    if (!pace.period) {
      pace.period = gap;
      return false;
    }
    const double longest = kPause * *pace.period;
    *pace.period += 0.3 * (std::min(gap, longest) - *pace.period);
    return gap > longest;
  }

  template <typename Condition>
  void forget(const Condition & condition)
  {
    forget_crossings(condition);
    for (auto it = senders_.begin(); it != senders_.end(); ) {
      it = condition(it->first) ? senders_.erase(it) : std::next(it);
    }
  }

  template <typename Condition>
  void forget_crossings(const Condition & condition)
  {
    for (auto it = crossings_.begin(); it != crossings_.end(); ) {
      const auto & [first, second] = it->first;
      it = condition(first) || condition(second) ? crossings_.erase(it) : std::next(it);
    }
  }

  std::map<Id, Pace> senders_;
  std::map<std::pair<Id, Id>, Crossing> crossings_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__SENDER_WATCH_HPP_
