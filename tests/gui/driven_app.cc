#include "driven_app.h"

#include <unistd.h>

#include <chrono>
#include <utility>

namespace switchyard::gui {

void DrivenApp::SetUp() {
  folder_ = std::filesystem::temp_directory_path() / ("switchyard-gui-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
  app_.emplace(AppOptions{.window = {.width = 1280, .height = 800, .visible = false}});
  engine_ = ImGuiTestEngine_CreateContext();
  auto& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigVerboseLevel = ImGuiTestVerboseLevel_Error;
  io.ConfigLogToTTY = true;
  io.ConfigNoThrottle = true;
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
  studio().remembered.hint_seen = true;
  studio().open_embedded();
  while (studio().opening()) app_->turn();
  ASSERT_NE(studio().model(), nullptr) << studio().status().text;
  studio().form.fresh_seed = false;
  for (int i = 0; i < 8; ++i) app_->draw();  // the layout settles
}

void DrivenApp::TearDown() {
  if (engine_) ImGuiTestEngine_Stop(engine_);  // null: no window
  app_.reset();
  if (engine_) ImGuiTestEngine_DestroyContext(engine_);
  std::filesystem::remove_all(folder_);
}

void DrivenApp::drive(const std::function<void(ImGuiTestContext*)>& script) {
  ImGuiTest* test = IM_REGISTER_TEST(engine_, "app", "script");
  test->TestFunc = script;
  ImGuiTestEngine_QueueTest(engine_, test, ImGuiTestRunFlags_RunFromCommandLine);
  while (!ImGuiTestEngine_IsTestQueueEmpty(engine_)) {
    app_->window.wait(0);
    studio().poll();
    app_->draw();
    if (std::exchange(pixels_wanted_, false)) pixels_ = app_->window.pixels();
    ImGuiTestEngine_PostSwap(engine_);
  }
  ImGuiTestEngineResultSummary summary;
  ImGuiTestEngine_GetResultSummary(engine_, &summary);
  EXPECT_EQ(summary.CountSuccess, summary.CountTested) << "the script's own message is above";
  EXPECT_EQ(summary.CountTested, 1);
}

void DrivenApp::until(ImGuiTestContext* ui, const std::function<bool()>& condition, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition() && std::chrono::steady_clock::now() < end) ui->Yield();
  EXPECT_TRUE(condition()) << "still not after " << seconds << " s; status: " << studio().status().text;
}

at::Tensor DrivenApp::pixels(ImGuiTestContext* ui) {
  pixels_wanted_ = true;
  ui->Yield(2);
  return pixels_;
}

void DrivenApp::draw(ImGuiTestContext* ui, int64_t steps) {
  studio().form.settings.grid.steps = static_cast<int>(steps);
  ui->ItemClick("//Generate/Draw");
  until(ui, [&] { return at_rest() && !studio().runs().empty(); });
  EXPECT_EQ(studio().runs().back().status, studio::Run::Status::done) << studio().runs().back().message;
  ui->Yield(2);
}

}  // namespace switchyard::gui
