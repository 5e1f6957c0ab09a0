// A step without products and without sums over a row, run over time: each column of each row goes its own way, so that no
// thread ever waits for another, and a row's columns are worked in long pieces that stream through the cache.
//
// Work is split by rows and, where these are too few, by columns. What is summed over all rows is summed row by row first.
#pragma once
#include "instructions.h"
#include "list.h"
#include "step.h"
#include "threads.h"

namespace {

using elman::Instruction;
using elman::Operand;
using elman::Stage;

// Of a register: with those of a step they stay in the first cache.
constexpr int64_t PIECE_BYTES = 1024;
// Instructions on one column of a whole run that one thread does sooner than it could call another.
constexpr int64_t SMALL_SCAN = 1 << 19;

inline bool works_alone(const elman_step& step, const elman::Operand& o) {
    return o.kind == ELMAN_NONE || o.kind == ELMAN_REGISTER || o.kind == ELMAN_CONSTANT ||
           (o.kind == ELMAN_ARRAY && step.arrays[o.index].kind != ELMAN_ROWS);
}

// Whether a step is one that a scan can run.
inline bool is_scan(const elman_step& step) {
    if (step.stage_count != 1 || step.stages[0].product_count || step.sum_count) return false;
    for (int i = 0; i < step.array_count; i++)
        if (step.arrays[i].kind == ELMAN_CARRY_OUT && step.arrays[i].columns % step.stages[0].width) return false;
    for (int i = 0; i < step.stages[0].instruction_count; i++) {
        const elman::Instruction& instruction = step.stages[0].instructions[i];
        if (instruction.op >= ELMAN_NORMALISE && instruction.op != ELMAN_ACCUMULATE) return false;
        if (!works_alone(step, instruction.target) || !works_alone(step, instruction.a) || !works_alone(step, instruction.b)) return false;
    }
    return true;
}

template <class Real>
class Scan {
    static constexpr int B = BLOCK<Real>;

public:
    // Lays out the workspace; reads no reals.
    Scan(const elman_step& step, const elman_run& run) : step_(step), run_(run), stage_(step.stages[0]) {
        const int64_t work = run.steps * run.batch * stage_.width * stage_.instruction_count;
        threads_ = work < SMALL_SCAN ? 1 : run.threads;
        const int64_t blocks = stage_.width / B, most = PIECE_BYTES / (B * (int64_t)sizeof(Real));
        const int64_t wanted = run.batch >= threads_ || run.batch == 0 ? 1 : (threads_ + run.batch - 1) / run.batch;
        const int64_t share = (blocks + wanted - 1) / wanted;
        piece_blocks_ = share < 1 ? 1 : share < most ? share : most;
        // Columns that don't fill a block are a piece of their own.
        pieces_ = (blocks + piece_blocks_ - 1) / piece_blocks_ + (stage_.width % B != 0);
        for (int i = 0; i < step.constant_count; i++) constants_.push_back(take(B));
        for (int i = 0; i < step.array_count; i++) {
            const int32_t kind = step.arrays[i].kind, columns = step.arrays[i].columns;
            buffers_.push_back(kind == ELMAN_CARRY_IN || kind == ELMAN_CARRY_OUT ? take(run.batch * columns) : 0);
            cut_.push_back(cuts(i) ? take(run.batch * columns) : 0);
            most_columns_ = columns > most_columns_ ? columns : most_columns_;
        }
        zeros_ = take(most_columns_ + B);
        accumulators_ = take(run.batch * step.accumulators);
        for (int i = 0; i < threads_; i++) registers_.push_back(take((step.registers + 3) * piece_blocks_ * B));
        // Room for a pointer and a distance: two floats hold one.
        for (int i = 0; i < threads_; i++) places_.push_back(take(4 * step.array_count));
    }

    int64_t bytes() const { return reals_ * (int64_t)sizeof(Real); }

    void run() {
        for (int i = 0; i < step_.constant_count; i++)
            for (int n = 0; n < B; n++) reals(constants_[i])[n] = (Real)step_.constants[i];
        memset(reals(zeros_), 0, (most_columns_ + B) * sizeof(Real));
        memset(reals(accumulators_), 0, run_.batch * step_.accumulators * sizeof(Real));
        for (int i = 0; i < step_.array_count; i++)
            if (cuts(i)) memset(reals(cut_[i]), 0, run_.batch * step_.arrays[i].columns * sizeof(Real));
        run_parallel(threads_, [&](int rank, int threads) { Worker(*this, rank, threads).run(); });
        add_rows_up((Real*)run_.accumulators, accumulators_, step_.accumulators);
        for (int i = 0; i < step_.array_count; i++) {
            if (cuts(i)) add_rows_up((Real*)run_.arrays[i].cut, cut_[i], step_.arrays[i].columns);
            else if (step_.arrays[i].kind == ELMAN_CARRY_OUT && run_.arrays[i].cut)
                memset(run_.arrays[i].cut, 0, step_.arrays[i].columns * sizeof(Real));
        }
    }

private:
    int64_t take(int64_t count) {
        const int64_t at = reals_, line = 64 / (int64_t)sizeof(Real);
        reals_ += (count + line - 1) / line * line;
        return at;
    }

    Real* reals(int64_t at) const { return (Real*)run_.workspace + at; }

    // Whether resets cut something off this array that is asked for.
    bool cuts(int array) const {
        return step_.arrays[array].kind == ELMAN_CARRY_OUT && run_.reset && run_.backwards && run_.arrays[array].cut;
    }

    // In the order of the rows, whoever has made them.
    void add_rows_up(Real* total, int64_t rows_at, int64_t columns) const {
        for (int64_t n = 0; n < columns; n++) total[n] = 0;
        for (int64_t r = 0; r < run_.batch; r++)
            for (int64_t n = 0; n < columns; n++) total[n] += reals(rows_at)[r * columns + n];
    }

    // One thread's part of the run.
    class Worker {
    public:
        Worker(const Scan& s, int rank, int threads)
            : s_(s), step_(s.step_), run_(s.run_), stage_(s.stage_), rank_(rank), threads_(threads),
              registers_(s.reals(s.registers_[rank])), now_((Real**)s.reals(s.places_[rank])) {
            staging_ = registers_ + (int64_t)step_.registers * s.piece_blocks_ * B;
            ahead_ = (int64_t*)(now_ + step_.array_count);
        }

        void run() {
            for (int64_t p = 0; p < run_.steps; p++) {
                t_ = run_.backwards ? run_.steps - 1 - p : p;
                before_ = p == 0 ? 0 : run_.rows[run_.backwards ? t_ + 1 : t_ - 1];
                after_ = !run_.backwards && t_ + 1 < run_.steps ? run_.rows[t_ + 1] : 0;
                leaving_ = !run_.backwards || t_ == 0;
                for (int i = 0; i < step_.array_count; i++) ahead_[i] = ahead(i);
                each_piece(run_.rows[t_], [&](int64_t row, int64_t piece) { work(row, piece); });
                flip_ = !flip_;
            }
        }

    private:
        // Calls f(row, piece) for what is this thread's of the first `rows` rows. Rows in one go, or, where some end before
        // others, dealt out forwards and backwards in turn: the first are the longest.
        template <class Function>
        void each_piece(int64_t rows, Function f) const {
            const int64_t units = rows * s_.pieces_;
            if (run_.steps == 0 || run_.rows[run_.steps - 1] == run_.batch) {
                const int64_t all = run_.batch * s_.pieces_;
                const int64_t end = all * (rank_ + 1) / threads_;
                for (int64_t i = all * rank_ / threads_; i < end; i++) f(i / s_.pieces_, i % s_.pieces_);
                return;
            }
            for (int64_t turn = 0; turn * threads_ < units; turn++) {
                const int64_t i = turn * threads_ + (turn % 2 ? threads_ - 1 - rank_ : rank_);
                if (i < units) f(i / s_.pieces_, i % s_.pieces_);
            }
        }

        int64_t first_column(int64_t piece) const {
            const int64_t column = piece * s_.piece_blocks_ * B, whole = stage_.width / B * B;
            return column < whole ? column : whole;
        }

        int64_t columns_of(int64_t piece) const {
            const int64_t column = first_column(piece), whole = stage_.width / B * B;
            if (column >= whole) return stage_.width - whole;
            return whole - column < s_.piece_blocks_ * B ? whole - column : s_.piece_blocks_ * B;
        }

        // Calls f(column) for the pieces of this place of all that stands side by side in an array.
        template <class Function>
        void each_part(int array, int64_t piece, Function f) const {
            for (int64_t column = first_column(piece); column < step_.arrays[array].columns; column += stage_.width) f(column);
        }

        void work(int64_t row, int64_t piece) {
            const bool reset = run_.reset && run_.reset[run_.offset[t_] + row];
            for (int i = 0; i < step_.array_count; i++) now_[i] = place(i, row, piece, reset);
            const int64_t columns = columns_of(piece), column = first_column(piece);
            const int blocks = columns < B ? 1 : (int)(columns / B);
            Real* accumulators = s_.reals(s_.accumulators_) + row * step_.accumulators + column;
            for (int i = 0; i < stage_.instruction_count; i++) execute(stage_.instructions[i], accumulators, blocks, (int)columns);
            for (int i = 0; i < step_.array_count; i++)
                if (step_.arrays[i].kind == ELMAN_CARRY_OUT) carry_on(i, row, piece, reset && run_.backwards);
        }

        // Where this piece of a row of an array begins.
        Real* place(int i, int64_t row, int64_t piece, bool reset) const {
            const elman_array& array = run_.arrays[i];
            const int64_t width = step_.arrays[i].columns, column = first_column(piece);
            Real* data = (Real*)array.data;
            switch (step_.arrays[i].kind) {
                case ELMAN_SEQUENCE: return data + (run_.offset[t_] + row) * array.stride + column;
                case ELMAN_SHARED: return data + column;
                case ELMAN_FIXED: return data + row * array.stride + column;
                case ELMAN_BEFORE:
                    if (reset) return (array.fresh ? (Real*)array.fresh : s_.reals(s_.zeros_)) + column;
                    if (t_ > 0) return data + (run_.offset[t_ - 1] + row) * array.stride + column;
                    return (array.initial ? (Real*)array.initial + row * width : s_.reals(s_.zeros_)) + column;
                case ELMAN_CARRY_IN:
                    if (reset && !run_.backwards) return (array.fresh ? (Real*)array.fresh : s_.reals(s_.zeros_)) + column;
                    if (row >= before_) return (array.initial ? (Real*)array.initial + row * width : s_.reals(s_.zeros_)) + column;
                    return s_.reals(s_.buffers_[i + flip_]) + row * width + column;
                default: return s_.reals(s_.buffers_[i - flip_]) + row * width + column;
            }
        }

        // From a row of this step to that of the next one to come, in bytes: it comes from far away, and is asked for now.
        int64_t ahead(int i) const {
            const int32_t kind = step_.arrays[i].kind;
            const int64_t by = run_.backwards ? -1 : 1, from = kind == ELMAN_BEFORE ? t_ - 1 : t_;
            if ((kind != ELMAN_SEQUENCE && kind != ELMAN_BEFORE) || from < 0 || from + by < 0 || t_ + by >= run_.steps) return 0;
            return (run_.offset[from + by] - run_.offset[from]) * run_.arrays[i].stride * (int64_t)sizeof(Real);
        }

        // What a row leaves when it runs for the last time; backwards, nothing is carried past a reset.
        void carry_on(int i, int64_t row, int64_t piece, bool cut) const {
            const size_t bytes = columns_of(piece) * sizeof(Real);
            const int64_t width = step_.arrays[i].columns, first = first_column(piece);
            Real* final = leaving_ && row >= after_ ? (Real*)run_.arrays[i].final : nullptr;
            if (!cut && !final) return;
            each_part(i, piece, [&](int64_t column) {
                Real* carried = now_[i] + column - first;
                if (cut && s_.cuts(i)) {
                    Real* sum = s_.reals(s_.cut_[i]) + row * width + column;
                    for (int64_t n = 0; n < columns_of(piece); n++) sum[n] += carried[n];
                }
                if (cut) memset(carried, 0, bytes);
                if (final) memcpy(final + row * width + column, carried, bytes);
            });
        }

        struct Place {
            Real* data;
            int64_t next;  // from one block to the next
        };

        int64_t ahead_of(const Operand& o) const { return o.kind == ELMAN_ARRAY ? ahead_[o.index] : 0; }

        Place find(const Operand& o) const {
            switch (o.kind) {
                case ELMAN_REGISTER: return {registers_ + (int64_t)o.index * s_.piece_blocks_ * B, B};
                case ELMAN_ARRAY: return {now_[o.index] + o.column, B};
                case ELMAN_CONSTANT: return {s_.reals(s_.constants_[o.index]), 0};
                default: return {nullptr, 0};
            }
        }

        // Columns that don't fill a block, where they do.
        Place stage_in(Place from, int slot, int columns) const {
            Real* to = staging_ + slot * B;
            memcpy(to, from.data, columns * sizeof(Real));
            for (int n = columns; n < B; n++) to[n] = 0;
            return {to, 0};
        }

        void execute(const Instruction& i, Real* accumulators, int blocks, int columns) const {
            Place a = find(i.a), b = i.b.kind ? find(i.b) : a, d = find(i.target);
            if (columns < B) {
                if (i.a.kind == ELMAN_ARRAY) a = stage_in(a, 0, columns);
                if (i.b.kind == ELMAN_ARRAY) b = stage_in(b, 1, columns);
            }
            if (i.op == ELMAN_ACCUMULATE) return accumulate(accumulators + i.target.column, a, i.b.kind ? &b : nullptr, blocks, columns);
            if (columns < B && i.target.kind == ELMAN_ARRAY) {
                OPERATIONS<Real>[i.op](staging_ + 2 * B, 0, a.data, 0, b.data, 0, 1);
                memcpy(d.data, staging_ + 2 * B, columns * sizeof(Real));
                return;
            }
            const Ahead far{ahead_of(i.target), ahead_of(i.a), ahead_of(i.b)};
            if (far.d || far.a || far.b) OPERATIONS_AHEAD<Real>[i.op](d.data, d.next, a.data, a.next, b.data, b.next, blocks, far);
            else OPERATIONS<Real>[i.op](d.data, d.next, a.data, a.next, b.data, b.next, blocks);
        }

        static void accumulate(Real* to, Place a, const Place* b, int blocks, int columns) {
            if (columns < B) {
                for (int n = 0; n < columns; n++) to[n] += b ? a.data[n] * b->data[n] : a.data[n];
                return;
            }
            for (int k = 0; k < blocks; k++, to += B, a.data += a.next) {
                if (b) add_products<Real>(to, a.data, 0, b->data + k * b->next, 0, 1);
                else add_rows<Real>(to, a.data, 0, 1);
            }
        }

        const Scan& s_;
        const elman_step& step_;
        const elman_run& run_;
        const Stage& stage_;
        const int rank_, threads_;
        Real *registers_, *staging_;
        Real** now_;      // each array's piece of this row
        int64_t* ahead_;  // and how far it is to that of the step to come
        int64_t t_ = 0, before_ = 0, after_ = 0;
        bool leaving_ = false;
        int flip_ = 0;  // a carry's two buffers change places at each step
    };

    const elman_step& step_;
    const elman_run& run_;
    const Stage& stage_;
    int threads_;
    int64_t piece_blocks_, pieces_, most_columns_ = 0, reals_ = 0, zeros_, accumulators_;
    List<int64_t> constants_, buffers_, cut_, registers_, places_;
};

}  // namespace
