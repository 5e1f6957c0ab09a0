#include "threads.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace elman {
namespace {

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Spins for a while (tens of microseconds), then lets others run.
template <class Condition>
void spin_until(const Condition& condition) {
    for (int i = 0; !condition(); i++)
        if (i < 4096) pause();
        else std::this_thread::yield();
}

// Between two calls of one training step lie some tens of microseconds: a worker that sleeps at once would be late each time.
constexpr int SPINS_BEFORE_SLEEP = 8192;

struct Worker {
    std::atomic<const Job*> job{nullptr};
    int rank = 0;
    std::atomic<bool> asleep{false};
    std::mutex mutex;
    std::condition_variable wake;
};

class Pool {
public:
    static Pool& get();

    void run(int threads, const Job& job) {
        while ((int)workers_.size() < threads - 1) {
            auto* worker = new Worker;
            // Detached: the process may end while a worker sleeps, and nothing has to be cleaned up then.
            std::thread([this, worker] { work(*worker); }).detach();
            workers_.push_back(worker);
        }
        remaining_.store(threads - 1, std::memory_order_relaxed);
        for (int i = 0; i < threads - 1; i++) {
            Worker& worker = *workers_[i];
            worker.rank = i + 1;
            worker.job.store(&job, std::memory_order_seq_cst);
            if (worker.asleep.load(std::memory_order_seq_cst)) {
                std::lock_guard<std::mutex> lock(worker.mutex);
                worker.wake.notify_one();
            }
        }
        job.call(job.context, 0);
        spin_until([&] { return remaining_.load(std::memory_order_acquire) == 0; });
    }

    std::mutex in_use;

private:
    void work(Worker& worker) {
        for (;;) {
            const Job* job = nullptr;
            for (int i = 0; i < SPINS_BEFORE_SLEEP && !job; i++) {
                job = worker.job.load(std::memory_order_acquire);
                if (!job) pause();
            }
            if (!job) {
                std::unique_lock<std::mutex> lock(worker.mutex);
                worker.asleep.store(true, std::memory_order_seq_cst);
                worker.wake.wait(lock, [&] { return worker.job.load(std::memory_order_seq_cst) != nullptr; });
                worker.asleep.store(false, std::memory_order_relaxed);
                continue;
            }
            job->call(job->context, worker.rank);
            worker.job.store(nullptr, std::memory_order_relaxed);
            remaining_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::vector<Worker*> workers_;
    alignas(64) std::atomic<int> remaining_{0};
};

Pool* pool = nullptr;
std::mutex pool_mutex;

// A child process has none of its parent's threads, and whatever they held is held for ever: it makes a pool of its own.
void forget_pool() {
    pool = nullptr;
    new (&pool_mutex) std::mutex;
}

Pool& Pool::get() {
    std::lock_guard<std::mutex> lock(pool_mutex);
    if (!pool) {
        static const int once = pthread_atfork(nullptr, nullptr, forget_pool);
        (void)once;
        pool = new Pool;
    }
    return *pool;
}

}  // namespace

Barrier::Barrier(int threads) : threads_(threads) {}

void Barrier::wait() {
    const int phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    spin_until([&] { return phase_.load(std::memory_order_acquire) != phase; });
}

void run_job(int threads, Job job, bool together) {
    if (threads <= 1) {
        job.call(job.context, 0);
        return;
    }
    Pool& workers = Pool::get();
    std::unique_lock<std::mutex> lock(workers.in_use, std::defer_lock);
    if (together) {
        lock.lock();
    } else if (!lock.try_lock()) {
        for (int rank = 0; rank < threads; rank++) job.call(job.context, rank);
        return;
    }
    workers.run(threads, job);
}

}  // namespace elman
