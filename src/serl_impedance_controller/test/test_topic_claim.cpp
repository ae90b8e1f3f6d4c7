// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "../src/plugin/topic_claim.hpp"

using serl_impedance_controller::TopicClaim;

TEST(TopicClaim, ASecondControllerIsRefusedAndBothAreNamed)
{
  const TopicClaim left("/target_pose", "/left_controller");
  try {
    const TopicClaim right("/target_pose", "/right_controller");
    FAIL() << "two controllers on one topic";
  } catch (const std::invalid_argument & error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("'/right_controller' and '/left_controller' would both follow '/target_pose'"), text.npos) << text;
  }
  const TopicClaim own("/right/target_pose", "/right_controller");
}

TEST(TopicClaim, ARefusedOneTakesNothingAndAReleasedTopicIsFree)
{
  auto first = std::make_unique<TopicClaim>("/target_pose", "/a");
  EXPECT_THROW(TopicClaim("/target_pose", "/b"), std::invalid_argument);
  EXPECT_THROW(TopicClaim("/target_pose", "/b"), std::invalid_argument);   // still the first one's
  first.reset();
  EXPECT_NO_THROW(TopicClaim("/target_pose", "/b"));
}
