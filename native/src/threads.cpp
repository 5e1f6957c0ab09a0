#include "threads.h"

#if defined(__linux__)
#include <dlfcn.h>
#endif
#include <pthread.h>
#include <unistd.h>

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
        ranks_ = threads;
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
        job.call(job.context, 0, threads);
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
            job->call(job->context, worker.rank, ranks_);
            worker.job.store(nullptr, std::memory_order_relaxed);
            remaining_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::vector<Worker*> workers_;
    int ranks_ = 1;
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

// GNU OpenMP's entry points, if the process has them. Not in a forked child: its threads stayed behind.
struct OpenMP {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
    int (*thread_number)();
    int (*thread_count)();
    int (*in_parallel)();
};

std::atomic<bool> forked{false};

const OpenMP* openmp() {
    static const OpenMP found = [] {
        OpenMP runtime{};
#if defined(__linux__)
        pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
        runtime.parallel = (decltype(runtime.parallel))dlsym(RTLD_DEFAULT, "GOMP_parallel");
        runtime.thread_number = (int (*)())dlsym(RTLD_DEFAULT, "omp_get_thread_num");
        runtime.thread_count = (int (*)())dlsym(RTLD_DEFAULT, "omp_get_num_threads");
        runtime.in_parallel = (int (*)())dlsym(RTLD_DEFAULT, "omp_in_parallel");
#endif
        return runtime;
    }();
    const bool whole = found.parallel && found.thread_number && found.thread_count && found.in_parallel;
    return whole && !forked.load(std::memory_order_relaxed) ? &found : nullptr;
}

}  // namespace

int64_t cache_bytes() {
    static const int64_t bytes = [] {
        int64_t found = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
        found = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
        return (found > 0 ? found : 1 << 20) / 4 * 3;
    }();
    return bytes;
}

void Barrier::wait(int ranks) {
    if (ranks == 1) return;
    const int phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == ranks) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    spin_until([&] { return phase_.load(std::memory_order_acquire) != phase; });
}

void run_job(int threads, Job job) {
    if (threads <= 1) {
        job.call(job.context, 0, 1);
        return;
    }
    if (const OpenMP* runtime = openmp()) {
        if (runtime->in_parallel()) {
            job.call(job.context, 0, 1);
            return;
        }
        struct Context {
            const OpenMP* runtime;
            Job job;
        } context{runtime, job};
        runtime->parallel(
            [](void* p) {
                const auto& c = *(const Context*)p;
                c.job.call(c.job.context, c.runtime->thread_number(), c.runtime->thread_count());
            },
            &context, (unsigned)threads, 0);
        return;
    }
    Pool& workers = Pool::get();
    std::unique_lock<std::mutex> lock(workers.in_use, std::try_to_lock);
    if (!lock) {
        job.call(job.context, 0, 1);
        return;
    }
    workers.run(threads, job);
}

}  // namespace elman
