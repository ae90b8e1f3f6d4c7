// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../src/plugin/sender_watch.hpp"

namespace
{

using Watch = serl_impedance_controller::SenderWatch<std::string>;

/// Who both send, found at a time [s].
struct Found
{
  double time = 0.0;
  std::string first, second;
};

/// Messages of several senders, each up to 5 ms late.
class Talk
{
public:
  /// Messages of a sender at a rate [Hz], from a time until another [s].
  void add(const std::string & from, double rate, double begin, double end)
  {
    for (int i = 0; begin + i / rate < end; ++i) {
      messages_.emplace_back(begin + i / rate + late_(random_), from);
    }
  }

  std::optional<Found> hear()
  {
    std::stable_sort(
      messages_.begin(), messages_.end(), [](const auto & a, const auto & b) {return a.first < b.first;});
    Watch watch;
    for (const auto & [time, from] : messages_) {
      if (const auto both = watch.hear(from, time)) {
        return Found{time, std::min(both->first, both->second), std::max(both->first, both->second)};
      }
    }
    return std::nullopt;
  }

private:
  std::vector<std::pair<double, std::string>> messages_;
  std::mt19937 random_{1};
  std::uniform_real_distribution<double> late_{0.0, 0.005};
};

}  // namespace

TEST(SenderWatch, TwoThatSendAreFoundAfterAHandoversTimeAndNamed)
{
  for (const double rate : {2.0, 10.0, 50.0, 200.0}) {
    Talk talk;
    talk.add("actor", 10.0, 0.0, 20.0);
    talk.add("intruder", rate, 5.03, 20.0);
    const auto found = talk.hear();
    ASSERT_TRUE(found) << rate;
    EXPECT_EQ(found->first, "actor");
    EXPECT_EQ(found->second, "intruder");
    EXPECT_GT(found->time, 5.03 + Watch::kHandover) << rate;
    EXPECT_LT(found->time, 5.03 + Watch::kHandover + 0.7) << rate;
  }
}

TEST(SenderWatch, AStrangerThatSendsNowAndThenIsFoundAtTheThirdTime)
{
  Talk talk;
  talk.add("actor", 10.0, 0.0, 20.0);
  talk.add("stranger", 1.0 / 3.0, 1.05, 20.0);
  const auto found = talk.hear();
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->time, 1.05 + 6.0, 0.2);
}

TEST(SenderWatch, TheActorAndTheCellsResetMayCrossAtEveryHandover)
{
  // Episodes of a single step up to 8 s, resets from 0.3 s up.
  for (const double step : {0.0, 0.1, 0.37}) {
    Talk talk;
    double t = 0.0;
    for (int episode = 0; episode < 300; ++episode) {
      const double length = 0.1 + step * (episode % 20), reset = 0.3 + 0.21 * (episode % 13);
      // The actor's last message may come after the reset's first ones; the reset holds the arm until it hears the
      // actor.
      talk.add("actor", 10.0, t, t + length);
      const double early = episode % 3 == 0 ? 0.02 : 0.0, late = 0.01 * (episode % 4);
      talk.add("cell", 50.0, t + length - early, t + length + reset + late);
      t += length + reset;
    }
    const auto found = talk.hear();
    EXPECT_FALSE(found) << "at " << found->time << " s with " << step;
  }
}

TEST(SenderWatch, ANewActorMayTakeOverFromOneThatEnded)
{
  Talk talk;
  talk.add("old", 10.0, 0.0, 3.0);
  talk.add("new", 10.0, 3.0, 9.0);
  EXPECT_FALSE(talk.hear());
}

TEST(SenderWatch, OneSenderIsNeverAtOddsWithItselfHoweverItStutters)
{
  Talk talk;
  talk.add("actor", 10.0, 0.0, 3.0);
  talk.add("actor", 1000.0, 3.0, 4.0);
  talk.add("actor", 1.0, 4.0, 20.0);
  EXPECT_FALSE(talk.hear());
}

TEST(SenderWatch, OneOfThreeThatLeavesStillLeavesTwo)
{
  Talk talk;
  talk.add("a", 10.0, 0.0, 0.9);
  talk.add("b", 10.0, 0.02, 9.0);
  talk.add("c", 10.0, 0.04, 9.0);
  const auto found = talk.hear();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->first + found->second, "bc");
}

TEST(SenderWatch, GoesOnFindingThemUntilOneStops)
{
  Watch watch;
  double t = 0.0;
  for (; t < 3.0; t += 0.1) {
    watch.hear("a", t);
    watch.hear("b", t + 0.05);
  }
  EXPECT_TRUE(watch.hear("a", t));
  for (const double end = t + 2.0; t < end; t += 0.1) {
    watch.hear("a", t + 0.1);
  }
  EXPECT_FALSE(watch.hear("a", t + 0.1));
}
