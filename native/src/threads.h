// Threads. If the process has GNU OpenMP's already (torch brings it), they are borrowed: they go on spinning for some
// milliseconds after torch's last operation, and threads of ours beside them would get half of a core. Else we have our own.
#pragma once
#include <stdint.h>

#include <atomic>

namespace elman {

// A function that takes its rank and how many there are, as plain pointers: kernels are compiled once per instruction set and share no templates.
struct Job {
    void (*call)(const void* context, int rank, int ranks);
    const void* context;
};

// Runs `job` on ranks 0 to ranks - 1, this thread being rank 0; returns when all are done. There are at most `threads` ranks, and
// fewer where they can't be had (in a forked process, or while another thread uses them). All ranks run at the same time.
void run_job(int threads, Job job);

// What of a core's second cache the weights of a recurrence may fill, so that they stay there from step to step: three quarters.
int64_t cache_bytes();

// All ranks wait for all.
class Barrier {
public:
    void wait(int ranks);

private:
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<int> phase_{0};
};

}  // namespace elman

namespace {

template <class Function>
void run_parallel(int threads, const Function& function) {
    elman::run_job(threads, {[](const void* context, int rank, int ranks) { (*(const Function*)context)(rank, ranks); }, &function});
}

}  // namespace
