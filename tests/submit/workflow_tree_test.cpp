#include "submit/workflow_tree.hpp"

#include <gtest/gtest.h>

#include "queues/model/job.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::submit {
namespace {

class View {
 public:
  View() {
    view_.mutable_state()->set_id(7);
    view_.mutable_state()->set_name("heat");
    view_.mutable_state()->mutable_owner()->set_user("ann");
  }
  // `phase` as in JobState; a finished one has completed.
  View& job(const std::string& name, std::uint32_t phase, std::vector<std::string> needs = {}) {
    const std::uint64_t id = 40 + static_cast<std::uint64_t>(++count_);
    wire::WorkflowMember& member = *view_.mutable_state()->add_members();
    member.set_name(name);
    member.set_job(id);
    for (const std::string& need : needs) member.add_needs()->set_member(need);
    wire::JobView& job = *view_.add_jobs();
    wire::to_wire(JobKey{.job = {id}}, job.mutable_state()->mutable_key());
    job.mutable_state()->set_phase(phase);
    job.mutable_state()->set_reason(static_cast<std::uint32_t>(PendingReason::Dependency));
    if (phase == 5) job.mutable_state()->mutable_outcome();
    job.set_nodes(1);
    return *this;
  }
  [[nodiscard]] std::string render() const { return render_workflow(view_, Time{}, {}); }

 private:
  wire::WorkflowView view_;
  int count_ = 0;
};

TEST(WorkflowTree, PutsJobsBelowThoseTheyNeed) {
  const std::string text = View()
                               .job("prepare", 5)
                               .job("solve", 2, {"prepare"})
                               .job("frame1", 0, {"solve"})
                               .job("frame2", 0, {"solve"})
                               .job("film", 0, {"frame1", "frame2"})
                               .render();
  EXPECT_EQ(text,
            "w7 heat (ann): 1 of 5 completed, 1 running\n"
            "JOB      JOBID ST TIME NODES NEEDS          NODELIST(REASON)\n"
            "prepare     41 CD 0:00     1\n"
            "solve       42 R  0:00     1 prepare\n"
            "  frame1    43 PD 0:00     1 solve          (Dependency)\n"
            "  film      45 PD 0:00     1 frame1, frame2 (Dependency)\n"
            "  frame2    44 PD 0:00     1 solve          (Dependency)\n");
}

TEST(WorkflowTree, LongChainStaysAtTheLeft) {
  View view;
  view.job("j0", 5);
  for (int i = 1; i < 200; ++i) {
    view.job("j" + std::to_string(i), 0, {"j" + std::to_string(i - 1)});
  }
  EXPECT_NE(view.render().find("\nj199 "), std::string::npos);
}

TEST(WorkflowTree, NeedThatIsNotThereIsNoHarm) {
  EXPECT_NE(View().job("a", 0, {"gone"}).render().find("\na "), std::string::npos);
}

}  // namespace
}  // namespace gangway::submit
