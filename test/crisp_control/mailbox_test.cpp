#include "crisp_control/mailbox.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace crisp_control::test {

TEST(Mailbox, GivesTheNewestOnce) {
  Mailbox<int> box(7);
  EXPECT_EQ(box.read(), nullptr);
  for (int i = 0; i < 5; ++i) box.write(i);
  ASSERT_NE(box.read(), nullptr);
  EXPECT_EQ(box.read(), nullptr);
  box.write(9);
  EXPECT_EQ(*box.read(), 9);
}

TEST(Mailbox, ValuesCrossWholeAndInOrder) {
  using Value = std::array<std::uint64_t, 64>;
  constexpr std::uint64_t kLast = 200000;
  Mailbox<Value> box;
  std::thread writer([&box] {
    Value value;
    for (std::uint64_t i = 1; i <= kLast; ++i) {
      value.fill(i);
      box.write(value);
    }
  });
  std::uint64_t before = 0;
  while (before < kLast) {
    const Value* value = box.read();
    if (!value) continue;
    ASSERT_GT(value->front(), before);
    before = value->front();
    for (const auto number : *value) ASSERT_EQ(number, before);
  }
  writer.join();
}

}  // namespace crisp_control::test
