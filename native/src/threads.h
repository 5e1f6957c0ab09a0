// The library's own threads. Not OpenMP: torch brings a runtime of its own, and two of them slow each other down.
#pragma once
#include <atomic>

namespace elman {

// A function that takes its rank, as plain pointers: kernels are compiled once per instruction set and share no templates.
struct Job {
    void (*call)(const void* context, int rank);
    const void* context;
};

// Runs `job` on ranks 0 to threads - 1, this thread being rank 0; returns when all are done. Calls from several threads at
// once are each right: the first takes the workers, the others run their ranks one after another, so a job that needs all
// its ranks at once (see Barrier) must ask with `together`: then they wait for the workers.
void run_job(int threads, Job job, bool together);

// All ranks wait for all.
class Barrier {
public:
    explicit Barrier(int threads);
    void wait();

private:
    const int threads_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<int> phase_{0};
};

}  // namespace elman

namespace {

template <class Function>
void run_parallel(int threads, const Function& function, bool together = false) {
    elman::run_job(threads, {[](const void* context, int rank) { (*(const Function*)context)(rank); }, &function}, together);
}

}  // namespace
