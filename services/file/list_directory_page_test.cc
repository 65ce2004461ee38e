// ListDirectoryPage: on the lane, a page at a time, while others change the directory.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "services/file/directory_entries.h"
#include "services/file/file_opener_fixture.h"

namespace capbroker::file {
namespace {

using ::capbroker::testing::StatusIs;
using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> Names(const v1::ListDirectoryPageResponse& page) {
  std::vector<std::string> names;
  for (const auto& entry : page.entries()) names.push_back(entry.name());
  return names;
}

class ListDirectoryPageTest : public FileOpenerFixture {
 protected:
  void SetUp() override {
    MakeDirectory("data");
    limits_ = Everything("data/");
  }
  Answer<v1::ListDirectoryPageResponse> Page(const std::string& after, uint32_t max_entries = 0) {
    return ListDirectoryPage(limits_, "data", after, max_entries);
  }
  // All names, as a caller gets them who takes so many at a time.
  std::vector<std::string> AllNames(uint32_t max_entries) {
    std::vector<std::string> names;
    while (true) {
      const auto page = Page(names.empty() ? "" : names.back(), max_entries);
      EXPECT_THAT(page, Succeeds());
      const std::vector<std::string> more = Names(page.response);
      names.insert(names.end(), more.begin(), more.end());
      if (!page.status.ok() || !page.response.more()) return names;
    }
  }
  v1::FileOpenerLimits limits_;
};

TEST_F(ListDirectoryPageTest, TellsNamesAndKindsInTheOrderOfTheNames) {
  MakeFile("data/file", "");
  MakeFile("data/.hidden", "");
  MakeFile("data/\xff odd\n", "");
  MakeDirectory("data/sub");
  MakeSymlink("/etc", "data/link");
  const auto page = Page("");
  ASSERT_THAT(page, Succeeds());
  EXPECT_THAT(Names(page.response), ElementsAre(".hidden", "file", "link", "sub", "\xff odd\n"));
  EXPECT_EQ(page.response.entries(2).kind(), v1::FILE_KIND_SYMLINK);
  EXPECT_EQ(page.response.entries(3).kind(), v1::FILE_KIND_DIRECTORY);
  EXPECT_FALSE(page.response.more());
  EXPECT_THAT(Names(ListDirectoryPage(limits_, "data/sub", "", 0).response), IsEmpty());
}

TEST_F(ListDirectoryPageTest, PagesTellEachEntryOnce) {
  std::vector<std::string> expected;
  for (int i = 1000; i < 2100; ++i) {
    expected.push_back(absl::StrCat("file", i));
    MakeFile(absl::StrCat("data/file", i), "");
  }
  for (const uint32_t size : {1u, 7u, 1100u, 0u}) EXPECT_EQ(AllNames(size), expected) << size;
}

TEST_F(ListDirectoryPageTest, SaysWhetherThereIsMore) {
  MakeFile("data/a", "");
  MakeFile("data/b", "");
  EXPECT_TRUE(Page("", 1).response.more());
  EXPECT_FALSE(Page("", 2).response.more());
  EXPECT_FALSE(Page("a", 1).response.more());
  EXPECT_FALSE(Page("b", 1).response.more());
}

TEST_F(ListDirectoryPageTest, BoundsThePageWhateverIsAskedFor) {
  const std::string long_name(249, 'x');
  for (int i = 1000; i < 1600; ++i) MakeFile(absl::StrCat("data/", i, long_name), "");
  for (const uint32_t size : {0u, 513u, ~0u}) {
    const auto page = Page("", size);
    ASSERT_THAT(page, Succeeds());
    EXPECT_THAT(page.response.entries(), SizeIs(DirectoryEntries::kMaxPage));
    EXPECT_TRUE(page.response.more());
    EXPECT_LT(page.response.ByteSizeLong(), FileOpenerSchema().max_message_bytes());
  }
}

TEST_F(ListDirectoryPageTest, CursorIsOnlyComparedWhateverItHolds) {
  MakeFile("data/a", "");
  MakeFile("data/b", "");
  MakeFile("secret", "");
  for (const std::string& before :
       {std::string(1, '\0'), std::string("../secret"), std::string("."), std::string(".."),
        std::string("/etc/passwd"), std::string("%n%s")}) {
    EXPECT_THAT(Names(Page(before).response), ElementsAre("a", "b")) << before;
  }
  // Between the two, also what no entry is called.
  for (const std::string& between : {std::string("a"), std::string("a\0b", 3),
                                     std::string("a/../../secret"), std::string(255, 'a')}) {
    EXPECT_THAT(Names(Page(between).response), ElementsAre("b")) << between;
  }
  for (const std::string& beyond : {std::string("b"), std::string(255, '\xff')}) {
    const auto page = Page(beyond);
    EXPECT_THAT(page, Succeeds());
    EXPECT_THAT(Names(page.response), IsEmpty());
    EXPECT_FALSE(page.response.more());
  }
  EXPECT_THAT(Page(std::string(256, 'a')), IsRefusedByName("after"));
}

TEST_F(ListDirectoryPageTest, TellsOnceWhatStaysWhileOthersChangeTheDirectory) {
  std::vector<std::string> staying;
  for (int i = 1000; i < 1200; ++i) {
    staying.push_back(absl::StrCat(i, "-stays"));
    MakeFile(absl::StrCat("data/", staying.back()), "");
  }
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    // Files that come, are renamed, and go, before and after every other name.
    for (int i = 0; !stop.load(); i = (i + 1) % 300) {
      const std::string one = Path(absl::StrCat("data/", 950 + i, "-one"));
      const std::string two = Path(absl::StrCat("data/", 1250 - i, "-two"));
      UniqueFd(open(one.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).Reset();
      rename(one.c_str(), two.c_str());
      unlink(two.c_str());
    }
  });
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> names = AllNames(7);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << "twice";
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const std::string& name) {
                                 return name.find("stays") == std::string::npos;
                               }),
                names.end());
    EXPECT_EQ(names, staying);
  }
  stop.store(true);
  changer.join();
}

TEST_F(ListDirectoryPageTest, TellsWhatIsUnderTheNameWhenTheDirectoryIsReplacedOrRemoved) {
  MakeFile("data/a", "");
  MakeFile("data/c", "");
  EXPECT_THAT(Names(Page("", 1).response), ElementsAre("a"));
  ASSERT_EQ(rename(Path("data").c_str(), Path("old").c_str()), 0);
  EXPECT_THAT(Page("a"), HasCode(StatusCode::NOT_FOUND));
  MakeDirectory("data");
  MakeFile("data/b", "");
  EXPECT_THAT(Names(Page("a").response), ElementsAre("b"));
  // What was granted is a name: a symlink in its place leads nowhere.
  ASSERT_EQ(rename(Path("data").c_str(), Path("newer").c_str()), 0);
  MakeSymlink("old", "data");
  limits_.clear_trusted_roots();
  EXPECT_THAT(Page(""), IsRefusedByObject("paths"));
}

TEST_F(ListDirectoryPageTest, NeedsTheSameAsTheStream) {
  MakeFile("data/file", "");
  MakeDirectory("outside");
  MakeSymlink("../outside", "data/link");
  EXPECT_THAT(ListDirectoryPage(limits_, "data/file", "", 0),
              HasCode(StatusCode::FAILED_PRECONDITION));
  EXPECT_THAT(ListDirectoryPage(limits_, "data/absent", "", 0), HasCode(StatusCode::NOT_FOUND));
  EXPECT_THAT(ListDirectoryPage(limits_, "data/link", "", 0), IsRefusedByObject("paths"));
  EXPECT_THAT(ListDirectoryPage(limits_, "outside", "", 0), IsRefusedByName("paths"));
  EXPECT_THAT(ListDirectoryPage(Everything("data"), "data", "", 0), IsRefusedByObject("paths"));
  EXPECT_THAT(ListDirectoryPage(Everything("/proc/"), "/proc", "", 0),
              IsRefusedByObject("kernel_file_systems"));
  limits_.clear_operations();
  for (int i = v1::OPERATION_OPEN; i <= v1::Operation_MAX; ++i) {
    if (i != v1::OPERATION_LIST) limits_.add_operations(static_cast<v1::Operation>(i));
  }
  EXPECT_THAT(Page(""), IsRefusedByName("operations"));
}

TEST_F(ListDirectoryPageTest, LeavesNoDescriptorBehind) {
  MakeFile("data/a", "");
  const int before = CountDescriptors();
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Page(""), Succeeds());
  EXPECT_EQ(CountDescriptors(), before);
}

TEST_F(ListDirectoryPageTest, StopsReadingWhenNobodyWaits) {
  for (int i = 0; i < 3000; ++i) MakeFile(absl::StrCat("data/file", i), "");
  UniqueFd directory(open(Path("data").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto entries = DirectoryEntries::Read(std::move(directory));
  ASSERT_OK(entries);
  int asked = 0;
  EXPECT_THAT(entries->Page("", 10, [&asked] { return ++asked == 2; }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace capbroker::file
