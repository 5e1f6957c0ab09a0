// The core as a Python module: pointers as whole numbers, checked by the caller (elman/engines/native). Knows no torch.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <list>
#include <mutex>
#include <new>
#include <stdexcept>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "include/elman.h"

namespace nb = nanobind;

namespace {

using Address = uintptr_t;
using Array = std::tuple<Address, int64_t, Address, Address, Address, Address>;
using Weight = std::tuple<Address, int64_t, int64_t, Address>;

// Large blocks of memory, used again: the system hands out fresh pages one by one, which for the arrays of a long sequence
// costs as much as a tenth of the computation. What is given back is kept for whoever asks next: half a gigabyte, or as much as
// was once in use at the same time, up to an eighth of the machine's memory.
class Blocks {
public:
    // At least that many bytes; `*size` is what it really is.
    void* take(int64_t bytes, int64_t* size) {
        *size = (bytes + ROUND - 1) / ROUND * ROUND;
        std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (lock) {
            // The smallest that is large enough, unless it is much too large; of several, what came back last is still near.
            auto best = idle_.end();
            for (auto block = idle_.begin(); block != idle_.end(); ++block)
                if (block->size >= *size && block->size <= *size + *size / 4 && (best == idle_.end() || block->size <= best->size)) best = block;
            if (best != idle_.end()) {
                void* memory = best->memory;
                *size = best->size;
                idle_bytes_ -= *size;
                idle_.erase(best);
                use(*size);
                return memory;
            }
        }
        void* memory = std::aligned_alloc(ROUND, *size);
        if (!memory) throw std::bad_alloc();
#if defined(__linux__)
        madvise(memory, *size, MADV_HUGEPAGE);
#endif
        use(*size);
        // What is idle and fits nobody makes room for what is new.
        if (lock) trim();
        return memory;
    }

    void give_back(void* memory, int64_t size) {
        used_ -= size;
        std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return std::free(memory);
        idle_.push_back({memory, size});
        idle_bytes_ += size;
        trim();
    }

private:
    static constexpr int64_t ROUND = 2 << 20, ALWAYS_IDLE = 512 << 20;

    void use(int64_t size) {
        const int64_t used = used_ += size;
        int64_t most = most_used_;
        while (used > most && !most_used_.compare_exchange_weak(most, used)) {
        }
    }

    // Those that nobody has asked for longest go first.
    void trim() {
        const int64_t spare = std::min<int64_t>(most_used_ - used_, machine_bytes() / 8), limit = std::max(spare, ALWAYS_IDLE);
        while (idle_bytes_ > limit) {
            idle_bytes_ -= idle_.front().size;
            std::free(idle_.front().memory);
            idle_.pop_front();
        }
    }

    static int64_t machine_bytes() {
#if defined(_SC_PHYS_PAGES)
        static const int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
        return bytes;
#else
        return 0;
#endif
    }

    struct Block {
        void* memory;
        int64_t size;
    };
    std::mutex mutex_;
    std::list<Block> idle_;  // in the order in which they came back
    int64_t idle_bytes_ = 0;
    std::atomic<int64_t> used_{0}, most_used_{0};
};

// Never destroyed: tensors may outlive everything.
Blocks& blocks() {
    static auto* all = new Blocks;
    return *all;
}

// A tensor of bytes on such a block, which goes back when the tensor goes.
nb::ndarray<nb::pytorch, uint8_t, nb::ndim<1>> buffer(int64_t bytes) {
    struct Block {
        void* memory;
        int64_t size;
    };
    auto* block = new Block;
    block->memory = blocks().take(bytes, &block->size);
    nb::capsule owner(block, [](void* p) noexcept {
        auto* block = (Block*)p;
        blocks().give_back(block->memory, block->size);
        delete block;
    });
    return {block->memory, {(size_t)bytes}, owner};
}

// What a call works in, from the same blocks.
class Workspace {
public:
    void* of(int64_t bytes) {
        if (bytes > size_) {
            if (memory_) blocks().give_back(memory_, size_);
            memory_ = nullptr;
            size_ = 0;
            memory_ = blocks().take(bytes, &size_);
        }
        return memory_;
    }
    ~Workspace() {
        if (memory_) blocks().give_back(memory_, size_);
    }

private:
    void* memory_ = nullptr;
    int64_t size_ = 0;
};

thread_local Workspace workspace;

class Step {
public:
    Step(const std::vector<int32_t>& code, const std::vector<double>& constants) {
        const char* why = "";
        step_ = elman_step_new(code.data(), (int64_t)code.size(), constants.data(), (int64_t)constants.size(), &why);
        if (!step_) throw std::invalid_argument(why);
    }
    Step(const Step&) = delete;
    ~Step() { elman_step_free(step_); }

    void run(int real_bytes, int precision, bool backwards, int threads, int64_t steps, int64_t batch, Address rows, Address offset,
             bool from_end, Address reset, const std::vector<Array>& arrays, const std::vector<Weight>& weights,
             Address accumulators) const {
        nb::gil_scoped_release release;
        std::vector<int64_t> all_rows, all_offsets;
        if (!rows) {
            // Every row at every step; from_end: the sequence runs from the last rows of the arrays to the first.
            for (int64_t t = 0; t < steps; t++) {
                all_rows.push_back(batch);
                all_offsets.push_back((from_end ? steps - 1 - t : t) * batch);
            }
        }
        std::vector<elman_array> array_list;
        for (const auto& [data, stride, initial, fresh, final, cut] : arrays)
            array_list.push_back({(void*)data, stride, (const void*)initial, (const void*)fresh, (void*)final, (void*)cut});
        std::vector<elman_weight> weight_list;
        for (const auto& [data, row, column, bias] : weights) weight_list.push_back({(const void*)data, row, column, (const void*)bias});
        elman_run run{};
        run.real_bytes = real_bytes;
        run.precision = precision;
        run.backwards = backwards;
        run.threads = threads;
        run.steps = steps;
        run.batch = batch;
        run.rows = rows ? (const int64_t*)rows : all_rows.data();
        run.offset = offset ? (const int64_t*)offset : all_offsets.data();
        run.reset = (const uint8_t*)reset;
        run.arrays = array_list.data();
        run.weights = weight_list.data();
        run.accumulators = (void*)accumulators;
        run.workspace = workspace.of(elman_workspace(step_, &run));
        elman_steps(step_, &run);
    }

private:
    elman_step* step_;
};

void multiply(int real_bytes, int precision, int threads, bool accumulate, int64_t m, int64_t n, int64_t k, Address a, int64_t a_row,
              int64_t a_column, Address b, int64_t b_row, int64_t b_column, Address bias, Address c, int64_t c_row) {
    nb::gil_scoped_release release;
    elman_product p{};
    p.real_bytes = real_bytes;
    p.precision = precision;
    p.threads = threads;
    p.accumulate = accumulate;
    p.m = m, p.n = n, p.k = k;
    p.a = (const void*)a, p.a_row = a_row, p.a_column = a_column;
    p.b = (const void*)b, p.b_row = b_row, p.b_column = b_column;
    p.bias = (const void*)bias;
    p.c = (void*)c, p.c_row = c_row;
    p.workspace = workspace.of(elman_product_workspace(&p));
    elman_multiply(&p);
}

// The pointers in the order of `elman_chunks`.
void chunks(bool backwards, int real_bytes, int threads, int cell, bool option, int64_t steps, int64_t batch, int64_t heads, int64_t keys,
           int64_t values, int64_t chunk, const std::vector<Address>& pointers) {
    nb::gil_scoped_release release;
    const auto pointer = [&](size_t i) { return (void*)pointers.at(i); };
    elman_chunks d{};
    d.real_bytes = real_bytes, d.threads = threads, d.cell = cell, d.option = option;
    d.steps = steps, d.batch = batch, d.heads = heads, d.keys = keys, d.values = values, d.chunk = chunk;
    d.u = pointer(0), d.parameters = pointer(1), d.lengths = (const int64_t*)pointer(2), d.reset = (const uint8_t*)pointer(3);
    d.initial = pointer(4), d.fresh = pointer(5), d.borders = pointer(6);
    if (backwards) {
        d.dy = pointer(7), d.dlast = pointer(8);
        d.du = pointer(9), d.dparameters = pointer(10), d.dinitial = pointer(11), d.dfresh = pointer(12);
        d.product_time = (int64_t*)pointer(13);
    } else {
        d.y = pointer(7), d.last = pointer(8), d.product_time = (int64_t*)pointer(9);
    }
    d.workspace = workspace.of(elman_chunks_workspace(&d, backwards));
    if (backwards) elman_chunks_backward(&d);
    else elman_chunks_forward(&d);
}

}  // namespace

NB_MODULE(_native, m) {
    // Programs stay in Python's caches until the process ends.
    nb::set_leak_warnings(false);
    nb::class_<Step>(m, "Step").def(nb::init<const std::vector<int32_t>&, const std::vector<double>&>()).def("run", &Step::run);
    m.def("buffer", &buffer);
    m.def("multiply", &multiply);
    m.def("chunks", &chunks);
    m.def("gather", [](Address to, Address from, int64_t from_bytes, Address others, Address index, int64_t rows, int64_t row_bytes, int threads) {
        nb::gil_scoped_release release;
        elman_gather((void*)to, (const void*)from, from_bytes, (const void*)others, (const int64_t*)index, rows, row_bytes, threads);
    });
    m.def("isa", &elman_isa);
    m.def("isas", &elman_isas);
    m.def("use_isa", [](const char* name) {
        if (elman_use_isa(name)) throw std::invalid_argument("this machine does not have that instruction set");
    });
    m.def("has_precision", [](int precision) { return elman_has_precision(precision) != 0; });
}
