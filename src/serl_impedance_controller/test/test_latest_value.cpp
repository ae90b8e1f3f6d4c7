// SPDX-License-Identifier: Apache-2.0
// Hand-over between threads: whole values, never an older one after a newer one.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "serl_impedance_controller/latest_value.hpp"

namespace law = serl_impedance_controller;

TEST(LatestValue, NothingBeforeTheFirstWriteAndEachValueOnce)
{
  law::LatestValue<int> box(7);
  EXPECT_FALSE(box.read());
  EXPECT_EQ(box.value(), 7);
  box.write(1);
  box.write(2);
  EXPECT_EQ(box.value(), 7);  // the reader's own copy until it asks
  EXPECT_TRUE(box.read());
  EXPECT_EQ(box.value(), 2);
  EXPECT_FALSE(box.read());
  EXPECT_EQ(box.value(), 2);
}

TEST(LatestValue, BetweenTwoThreadsValuesAreWholeAndInOrder)
{
  constexpr int kWrites = 200000;
  using Block = std::array<int, 32>;
  law::LatestValue<Block> box(Block{});
  std::atomic<bool> torn{false}, back{false};
  std::thread reader([&] {
      int last = 0;
      while (last < kWrites) {
        if (!box.read()) {
          std::this_thread::yield();
          continue;
        }
        for (const int number : box.value()) {
          torn = torn || number != box.value()[0];
        }
        back = back || box.value()[0] <= last;
        last = box.value()[0];
      }
    });
  Block block;
  for (int i = 1; i <= kWrites; ++i) {
    block.fill(i);
    box.write(block);
  }
  reader.join();  // it ends only when it has seen the last value
  EXPECT_FALSE(torn);
  EXPECT_FALSE(back);
}
