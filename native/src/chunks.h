// Cells with a matrix for a state over time: each head of each sequence is a task of its own, done by one thread from its first step to
// its last, or back. Of a chunk everything but its rows of u, y and their gradients stays in the thread's memory; backwards it is computed
// once more, from the state at its border.
#pragma once
#include <atomic>

#include "delta.h"
#include "mamba2.h"
#include "mlstm.h"
#include "threads.h"

namespace {

// Multiplications of all chunks together that one thread does sooner than it could call another.
constexpr int64_t SMALL_CHUNKS = 1 << 16;

template <class Cell>
class Chunks {
    typedef typename Cell::Real Real;

public:
    Chunks(const elman_chunks& p, bool backwards) : p_(p), backwards_(backwards), tasks_(p.batch * p.heads) {
        const int64_t size = p.steps * tasks_ * p.keys * p.values;
        threads_ = size < SMALL_CHUNKS || tasks_ < 2 ? 1 : tasks_ < p.threads ? (int)tasks_ : p.threads;
        starts_at_ = take(backwards ? (int64_t)((threads_ * (p.steps + 1) * sizeof(int64_t) + sizeof(Real) - 1) / sizeof(Real)) : 0);
        dparameters_at_ = take(backwards ? tasks_ * Cell::PARAMETERS : 0);
        shared_at_ = take(backwards ? Cell::shared(p) : 0);
        dfresh_at_ = take(backwards && p.dfresh ? p.batch * Cell::state_size(p) : 0);
        cell_size_ = Cell(p, backwards, nullptr).used;
        cells_at_ = take(threads_ * cell_size_);
    }

    int64_t bytes() const { return reals_ * (int64_t)sizeof(Real); }

    void run() {
        std::atomic<int64_t> next{0}, product_time{0};
        run_parallel(threads_, [&](int rank, int) {
            Real* memory = reals(cells_at_) + rank * cell_size_;
            // Padding is computed with, if for nothing: it had better not be denormal.
            memset(memory, 0, cell_size_ * sizeof(Real));
            Cell cell(p_, backwards_, memory);
            int64_t* starts = (int64_t*)reals(starts_at_) + rank * (p_.steps + 1);
            for (int64_t task; (task = next++) < tasks_;) {
                cell.b = task / p_.heads, cell.h = task % p_.heads;
                cell.dparameter[0] = cell.dparameter[1] = 0;
                cell.shared_memory = reals(shared_at_);
                cell.begin();
                const int64_t length = p_.lengths ? p_.lengths[cell.b] : p_.steps;
                if (backwards_) backwards(cell, length, starts);
                else forwards(cell, length);
            }
            product_time += std::chrono::duration_cast<std::chrono::nanoseconds>(cell.product_time).count();
        });
        if (p_.product_time) *p_.product_time += product_time;
        if (!backwards_) return;
        if (Cell::shared(p_)) run_parallel(threads_, [&](int rank, int ranks) { Cell::finish(p_, reals(shared_at_), rank, ranks); });
        // In the order of the sequences, whoever has made them.
        add_up((Real*)p_.dparameters, dparameters_at_, Cell::PARAMETERS * p_.heads);
        if (p_.dfresh) add_up((Real*)p_.dfresh, dfresh_at_, Cell::state_size(p_));
    }

private:
    void forwards(Cell& cell, int64_t length) const {
        // A chunk that a reset or a length cuts off has no border of its own.
        if (p_.borders && (p_.reset || p_.lengths)) memset(cell.border(0).S, 0, cell.border_count() * Cell::head_size(p_) * sizeof(Real));
        cell.t0 = 0;
        cell.read(cell.of_row(p_.initial, cell.b));
        while (cell.t0 < length) {
            if (cell.resets(cell.t0)) cell.start_chunk();
            else if (cell.t0 && p_.borders) cell.write(cell.border(cell.t0 / p_.chunk - 1));
            cell.find_end(length);
            cell.compute();
            cell.write_y();
            cell.advance();
            cell.t0 += cell.n;
        }
        for (; cell.t0 < p_.steps; cell.t0++) memset((Real*)p_.y + cell.y_at(0), 0, p_.values * sizeof(Real));
        cell.write(cell.of_row(p_.last, cell.b));
    }

    void backwards(Cell& cell, int64_t length, int64_t* starts) const {
        int64_t count = 0;
        for (cell.t0 = 0; cell.t0 < length; cell.t0 += cell.n) {
            starts[count++] = cell.t0;
            cell.find_end(length);
        }
        starts[count] = length;
        cell.clear_gradient();
        if (p_.dfresh) cell.write_gradient(cell.of_row(reals(dfresh_at_), cell.b));
        if (p_.dlast) cell.read_gradient(cell.of_row(p_.dlast, cell.b));
        while (count--) {
            cell.t0 = starts[count], cell.n = starts[count + 1] - cell.t0;
            cell.start_chunk();
            cell.compute();
            cell.backwards();
            if (!cell.resets(cell.t0)) continue;
            // What came before the reset has no part in what came after.
            if (p_.dfresh) cell.add_gradient(cell.of_row(reals(dfresh_at_), cell.b));
            cell.clear_gradient();
        }
        cell.write_gradient(cell.of_row(p_.dinitial, cell.b));
        for (int i = 0; i < Cell::PARAMETERS; i++)
            reals(dparameters_at_)[(cell.b * Cell::PARAMETERS + i) * p_.heads + cell.h] = cell.dparameter[i];
        cell.t0 = 0;
        for (int64_t i = length; i < p_.steps; i++) cell.clear_du(i);
    }

    Real* reals(int64_t at) const { return (Real*)p_.workspace + at; }

    int64_t take(int64_t count) {
        const int64_t at = reals_, line = 64 / (int64_t)sizeof(Real);
        reals_ += (count + line - 1) / line * line;
        return at;
    }

    void add_up(Real* to, int64_t at, int64_t columns) const {
        for (int64_t i = 0; i < columns; i++) to[i] = 0;
        for (int64_t b = 0; b < p_.batch; b++)
            for (int64_t i = 0; i < columns; i++) to[i] += reals(at)[b * columns + i];
    }

    const elman_chunks& p_;
    const bool backwards_;
    const int64_t tasks_;
    int threads_;
    int64_t reals_ = 0, starts_at_, dparameters_at_, shared_at_, dfresh_at_, cells_at_, cell_size_;
};

template <class Real>
int64_t chunks_workspace(const elman_chunks* p, bool backwards) {
    switch (p->cell) {
        case ELMAN_MLSTM: return Chunks<MLSTM<Real>>(*p, backwards).bytes();
        case ELMAN_MAMBA2: return Chunks<Mamba2<Real>>(*p, backwards).bytes();
        default: return Chunks<GatedDelta<Real>>(*p, backwards).bytes();
    }
}

template <class Real>
void run_chunks(const elman_chunks* p, bool backwards) {
    switch (p->cell) {
        case ELMAN_MLSTM: return Chunks<MLSTM<Real>>(*p, backwards).run();
        case ELMAN_MAMBA2: return Chunks<Mamba2<Real>>(*p, backwards).run();
        default: return Chunks<GatedDelta<Real>>(*p, backwards).run();
    }
}

}  // namespace
