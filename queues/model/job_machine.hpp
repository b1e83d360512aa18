// The life of a job in one file. apply() is the only writer of a job's state.
//
//   Waiting  --Allocated-->        Starting
//   Waiting  --CancelledWaiting--> Finished
//   Waiting  --ArrayEnded-->       Finished        (an array: its last element has ended)
//   Starting --Launched-->         Running
//   Starting --Ended-->            Completing
//   Running  --Suspended-->        Suspended
//   Running  --Ended-->            Completing
//   Suspended --Resumed-->         Running
//   Suspended --Ended-->           Completing
//   Completing --Cleaned-->        Finished        (outcome stands)
//   Completing --Cleaned-->        Waiting         (requeue)
//
// A Suspended job is Suspended once more when it is not, or not only, its time slice that is over:
// an operator suspends it, or lets it go on in its next slice. Paused time is never run time.
//
// Eligible, ReasonChanged, Held, Released, Altered and Dropped change a waiting job and leave it
// Waiting; Held and
// Released are also noted on a running one, for the case that it is requeued. A Completing job that
// is to be requeued can be Ended once more, without: it was cancelled meanwhile. Events of an older
// attempt are refused with Conflict; a pair that cannot be is refused with Internal. A test prints
// this table from apply() and compares it with the picture above.
//
// Pure: `at` is the event's time.
#pragma once

#include "queues/base/result.hpp"
#include "queues/model/job.hpp"
#include "queues/model/job_event.hpp"

namespace gangway {

// The job after `what`. Errors: Conflict (older attempt), Internal (impossible pair); the caller's
// job is unchanged then.
[[nodiscard]] Result<Job> apply(const Job& job, const JobEvent& what, Time at);

// An array is Waiting until its last element has ended. Its elements are jobs from Split on, which
// takes them out of the array's record; when they end, the record takes note (tally()).
//
// The job that a Submitted event makes. `spec` is what `event.spec_digest` names.
[[nodiscard]] Job make_job(JobKey key,
                           const job_event::Submitted& event,
                           std::shared_ptr<const JobSpec> spec,
                           Time at);

// The job that a Split event makes of the element, which the array then does not hold any more.
// Errors: Internal, if it is not among those that wait.
[[nodiscard]] Result<Job> split_element(Job& array, JobKey key, std::uint32_t position);
// An element has ended: its array takes note. Requires: `element` is Finished, `array` is its
// array.
void tally(Job& array, const Job& element);
// How an array has ended: COMPLETED if all elements have; else as the first that ran and did not;
// else as cancelled. Requires: all have ended.
[[nodiscard]] Outcome outcome_of_array(const ArrayState& array);

// A start that failed (image, sandbox, a node that refused) is tried again this often, then the job
// ends as LaunchFailed.
inline constexpr std::uint32_t kMaxLaunchFailures = 3;

}  // namespace gangway
