// SPDX-License-Identifier: Apache-2.0
/// \file
/// The newest value of one thread for another, without locks: how targets and gains reach the real-time thread.
#ifndef SERL_IMPEDANCE_CONTROLLER__LATEST_VALUE_HPP_
#define SERL_IMPEDANCE_CONTROLLER__LATEST_VALUE_HPP_

#include <array>
#include <atomic>
#include <cstdint>

namespace serl_impedance_controller
{

/// Three slots, one atomic index. Both sides are wait-free: one exchange and, for the writer, one copy of T.
/// A value is seen whole or not at all, and never an older one after a newer one; values that were replaced before
/// the reader came are lost. One writer thread and one reader thread at a time.
template <typename T>
class LatestValue
{
public:
  explicit LatestValue(const T & initial = T())
  {
    slots_.fill(initial);
  }

  void write(const T & value)
  {
    slots_[back_] = value;
    back_ = middle_.exchange(back_ | kFresh, std::memory_order_acq_rel) & kIndex;
  }

  /// Take over the newest value. False if there is none since the last call; value() is then unchanged.
  bool read()
  {
    if ((middle_.load(std::memory_order_relaxed) & kFresh) == 0) {
      return false;
    }
    front_ = middle_.exchange(front_, std::memory_order_acq_rel) & kIndex;
    return true;
  }

  /// What the last read() took; the reader's own copy, which no write touches.
  const T & value() const {return slots_[front_];}

private:
  static constexpr std::uint8_t kIndex = 3;
  static constexpr std::uint8_t kFresh = 4;

  std::array<T, 3> slots_;
  std::atomic<std::uint8_t> middle_{1};
  std::uint8_t back_ = 0;    // the writer's
  std::uint8_t front_ = 2;   // the reader's
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__LATEST_VALUE_HPP_
