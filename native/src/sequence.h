// The skeleton: a step run over time. Packs the weights, then step by step, stage by stage, column block by column block:
// products, and on each tile the instructions.
//
// Work is split by tiles of rows where there are enough of them, and the weights fit a core's cache: then no thread ever waits
// for another. Else it is split by column blocks, with a barrier after each stage, and a thread reads only its part of the
// weights. Sums never depend on the split: a row sum is made block by block, an accumulator tile by tile, and these parts are
// added in their order at the end.
#pragma once
#include "instructions.h"
#include "list.h"
#include "micro.h"
#include "scan.h"
#include "step.h"
#include "threads.h"

namespace {

using elman::Instruction;
using elman::Operand;
using elman::Product;
using elman::Stage;

constexpr int64_t MOST_INSTRUCTION_OPERANDS = 3;

// Multiplications of a whole run that one thread does sooner than it could call another.
constexpr int64_t SMALL_RUN = 1 << 17;

inline int64_t round_up64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

template <class Kind>
class Sequence {
    typedef typename Kind::Element Real;
    typedef typename Kind::Left Left;
    static constexpr int B = BLOCK<Real>;

public:
    // Lays out the workspace; reads no reals.
    Sequence(const elman_step& step, const elman_run& run) : step_(step), run_(run) {
        tile_rows_ = run.batch >= 2 * TILE ? TILE : run.batch >= TILE ? TILE / 2 : run.batch > 0 ? (int)run.batch : 1;
        tiles_ = (run.batch + tile_rows_ - 1) / tile_rows_;
        // One step of few rows: packing the weights would take longer than using them.
        unpacked_ = Kind::in_place && run.steps == 1 && run.batch <= FEW_ROWS && along_rows(step, run);
        threads_ = multiplications(step) * run.batch * run.steps < SMALL_RUN ? 1 : run.threads;
        for (int s = 0; s < step.stage_count; s++) {
            const Stage& stage = step.stages[s];
            const int64_t blocks = (stage.width + B - 1) / B;
            most_blocks_ = blocks > most_blocks_ ? blocks : most_blocks_;
            int64_t left = 0;
            for (int i = 0; i < stage.product_count; i++) {
                const Product& product = stage.products[i];
                panels_.push_back(unpacked_ ? 0 : take(product.pieces * blocks * panel_reals(product.inner) * sizeof(Real)));
                left += (run.batch + Kind::rows_beyond) * Kind::row_of_left(product.inner);
            }
            most_left_ = left > most_left_ ? left : most_left_;
        }
        // `bytes_` is what the packed weights take so far.
        by_tiles_ = tiles_ >= threads_ && !(bytes_ > elman::cache_bytes() && even_blocks());
        for (int i = 0; i < step.constant_count; i++) constants_.push_back(take(B * sizeof(Real)));
        int32_t most_columns = 0;
        for (int i = 0; i < step.array_count; i++) {
            most_columns = step.arrays[i].columns > most_columns ? step.arrays[i].columns : most_columns;
            const int64_t bytes = run.batch * step.arrays[i].columns * (int64_t)sizeof(Real);
            const int32_t kind = step.arrays[i].kind;
            // A carry alternates between two; what a reset may replace is copied first.
            buffers_.push_back(kind == ELMAN_CARRY_IN || kind == ELMAN_CARRY_OUT || kind == ELMAN_ROWS ? take(bytes) : 0);
            fresh_.push_back(run.reset && (kind == ELMAN_BEFORE || kind == ELMAN_CARRY_IN) ? take(bytes) : 0);
            cut_.push_back(take(cut_bytes(i)));
        }
        zeros_bytes_ = most_columns * (int64_t)sizeof(Real);
        zeros_ = take(zeros_bytes_);
        sums_ = take((int64_t)step.sum_count * most_blocks_ * run.batch * LANES<Real> * sizeof(Real));
        accumulators_ = take(tiles_ * round_up64(step.accumulators * sizeof(Real) + B * sizeof(Real)));
        for (int i = 0; i < threads_; i++) {
            registers_.push_back(take((step.registers + MOST_INSTRUCTION_OPERANDS) * TILE * B * sizeof(Real)));
            places_.push_back(take(step.array_count * (int64_t)(sizeof(Real*) + sizeof(int64_t))));
            lefts_.push_back(take(most_left_ * (int64_t)sizeof(Left)));
        }
    }

    int64_t bytes() const { return bytes_; }

    void run() {
        const int threads = by_tiles_ ? (int)(threads_ < tiles_ ? threads_ : tiles_) : threads_;
        elman::Barrier barrier;
        for (int i = 0; i < step_.constant_count; i++)
            for (int n = 0; n < B; n++) reals(constants_[i])[n] = (Real)step_.constants[i];
        memset(reals(zeros_), 0, zeros_bytes_);
        if (!unpacked_) run_parallel(threads, [&](int rank, int ranks) { pack(rank, ranks); });
        run_parallel(threads, [&](int rank, int ranks) { Worker(*this, rank, ranks, barrier).run(); });
        add_accumulators();
        add_cut();
    }

private:
    int64_t take(int64_t bytes) {
        const int64_t at = bytes_;
        bytes_ += round_up64(bytes);
        return at;
    }

    Real* reals(int64_t at) const { return (Real*)((char*)run_.workspace + at); }

    static int64_t multiplications(const elman_step& step) {
        int64_t count = 0;
        for (int s = 0; s < step.stage_count; s++)
            for (int i = 0; i < step.stages[s].product_count; i++) {
                const Product& product = step.stages[s].products[i];
                count += (int64_t)product.pieces * step.stages[s].width * product.inner;
            }
        return count;
    }

    // Whether no thread would get many more column blocks than another.
    bool even_blocks() const {
        for (int s = 0; s < step_.stage_count; s++) {
            const int64_t blocks = (step_.stages[s].width + B - 1) / B, most = (blocks + threads_ - 1) / threads_;
            if (10 * most * threads_ > 11 * blocks) return false;
        }
        return true;
    }

    static bool along_rows(const elman_step& step, const elman_run& run) {
        for (int s = 0; s < step.stage_count; s++)
            for (int i = 0; i < step.stages[s].product_count; i++)
                if (run.weights[step.stages[s].products[i].weight].column_stride != 1) return false;
        return true;
    }

    // A panel: the block's bias, then its weights.
    static int64_t panel_reals(int64_t inner) { return (1 + Kind::lines(inner)) * B; }

    void pack(int rank, int threads) const {
        int64_t turn = 0;
        int at = 0;
        for (int s = 0; s < step_.stage_count; s++) {
            const Stage& stage = step_.stages[s];
            const int64_t blocks = (stage.width + B - 1) / B;
            for (int q = 0; q < stage.product_count; q++) {
                const Product& product = stage.products[q];
                const elman_weight& weight = run_.weights[product.weight];
                for (int64_t i = 0; i < product.pieces * blocks; i++, turn++) {
                    if (turn % threads != rank) continue;
                    const int64_t row = i / blocks * stage.width + i % blocks * B;
                    const int columns = (int)(stage.width - i % blocks * B < B ? stage.width - i % blocks * B : B);
                    Real* panel = reals(panels_[at]) + i * panel_reals(product.inner);
                    const Real* bias = product.bias ? (const Real*)weight.bias + row : nullptr;
                    for (int n = 0; n < B; n++) panel[n] = bias && n < columns ? bias[n] : Real(0);
                    const Real* from = (const Real*)weight.data + row * weight.row_stride;
                    Kind::pack(panel + B, from, weight.column_stride, weight.row_stride, product.inner, columns);
                }
                at++;
            }
        }
    }

    int64_t accumulator_stride() const { return round_up64(step_.accumulators * sizeof(Real) + B * sizeof(Real)) / sizeof(Real); }

    void add_accumulators() const {
        Real* total = (Real*)run_.accumulators;
        for (int64_t n = 0; n < step_.accumulators; n++) {
            total[n] = 0;
            for (int64_t tile = 0; tile < tiles_; tile++) total[n] += reals(accumulators_)[tile * accumulator_stride() + n];
        }
    }

    // What resets cut off of the carried gradient, a row for each tile.
    int64_t cut_bytes(int array) const {
        const bool any = step_.arrays[array].kind == ELMAN_CARRY_OUT && run_.reset && run_.backwards && run_.arrays[array].cut;
        return any ? tiles_ * step_.arrays[array].columns * (int64_t)sizeof(Real) : 0;
    }

    void add_cut() const {
        for (int i = 0; i < step_.array_count; i++) {
            const int32_t columns = step_.arrays[i].columns;
            Real* total = step_.arrays[i].kind == ELMAN_CARRY_OUT ? (Real*)run_.arrays[i].cut : nullptr;
            if (!total) continue;
            memset(total, 0, columns * sizeof(Real));
            for (int64_t tile = 0; cut_bytes(i) && tile < tiles_; tile++)
                for (int32_t n = 0; n < columns; n++) total[n] += reals(cut_[i])[tile * columns + n];
        }
    }

    // One thread's part of the run.
    class Worker {
    public:
        Worker(const Sequence& s, int rank, int threads, elman::Barrier& barrier)
            : s_(s), step_(s.step_), run_(s.run_), rank_(rank), threads_(threads), barrier_(barrier),
              registers_(s.reals(s.registers_[rank])) {
            now_ = (Real**)s.reals(s.places_[rank]);
            stride_ = (int64_t*)(now_ + step_.array_count);
            staging_ = registers_ + (int64_t)step_.registers * TILE * B;
        }

        void run() {
            [[maybe_unused]] const typename Kind::Session session;
            clear_sums();
            for (int i = 0; i < step_.array_count; i++)
                stride_[i] = step_.arrays[i].kind == ELMAN_SHARED ? 0 : contiguous(i) ? step_.arrays[i].columns : run_.arrays[i].stride;
            for (int64_t p = 0; p < run_.steps; p++) {
                t_ = run_.backwards ? run_.steps - 1 - p : p;
                rows_ = run_.rows[t_];
                if (rows_ == 0) continue;
                first_ = p == 0 || run_.rows[run_.backwards ? t_ + 1 : t_ - 1] == 0;
                resets_ = any_reset();
                place();
                begin_rows();
                int product = 0;
                for (int s = 0; s < step_.stage_count; s++) run_stage(step_.stages[s], product);
                end_rows();
            }
        }

    private:
        // Scratch of ours: its rows stand close together.
        bool contiguous(int array) const {
            const int32_t kind = step_.arrays[array].kind;
            return kind == ELMAN_CARRY_IN || kind == ELMAN_CARRY_OUT || kind == ELMAN_ROWS;
        }

        struct Place {
            Real* data;
            int64_t row;
        };

        // Tiles are dealt out forwards and backwards in turn: the first ones are of the longest sequences.
        bool dealt(int64_t tile) const {
            const int64_t place = tile % threads_;
            return (tile / threads_ % 2 ? threads_ - 1 - place : place) == rank_;
        }

        // Whether this thread computes on the tile: all do where they share out the columns.
        bool mine(int64_t tile) const { return !s_.by_tiles_ || dealt(tile); }

        // Calls f(first row, end) for the rows of each tile that is dealt to this thread, of the rows from `begin` to `end`.
        template <class Function>
        void my_rows(int64_t begin, int64_t end, Function f) const {
            for (int64_t tile = begin / s_.tile_rows_; tile * s_.tile_rows_ < end; tile++) {
                if (!dealt(tile)) continue;
                const int64_t a = tile * s_.tile_rows_, b = a + s_.tile_rows_;
                f(a > begin ? a : begin, b < end ? b : end);
            }
        }

        void wait() const {
            if (!s_.by_tiles_) barrier_.wait(threads_);
        }

        bool any_reset() const {
            if (!run_.reset) return false;
            for (int64_t r = 0; r < rows_; r++)
                if (run_.reset[run_.offset[t_] + r]) return true;
            return false;
        }

        // Where each array's rows of this step stand.
        void place() {
            for (int i = 0; i < step_.array_count; i++) {
                const elman_array& array = run_.arrays[i];
                Real* data = (Real*)array.data;
                switch (step_.arrays[i].kind) {
                    case ELMAN_SEQUENCE: now_[i] = data + run_.offset[t_] * array.stride; break;
                    case ELMAN_SHARED:
                    case ELMAN_FIXED: now_[i] = data; break;
                    case ELMAN_ROWS: now_[i] = s_.reals(s_.buffers_[i]); break;
                    case ELMAN_BEFORE:
                        now_[i] = t_ > 0 ? data + run_.offset[t_ - 1] * array.stride : (Real*)array.initial;
                        stride_[i] = t_ > 0 ? array.stride : step_.arrays[i].columns;
                        if (!now_[i]) now_[i] = zeros(i);
                        break;
                    case ELMAN_CARRY_IN:
                        // The two buffers change places at each step.
                        now_[i] = s_.reals(s_.buffers_[i + (flip_ ? 1 : 0)]);
                        now_[i + 1] = s_.reals(s_.buffers_[i + (flip_ ? 0 : 1)]);
                        break;
                }
            }
            flip_ = !flip_;
        }

        // No initial state given: one row of zeros serves all.
        Real* zeros(int array) {
            stride_[array] = 0;
            return s_.reals(s_.zeros_);
        }

        // Rows that run for the first time get their initial carry; rows that are reset get the fresh state.
        void begin_rows() {
            const int64_t before = first_ ? 0 : run_.rows[run_.backwards ? t_ + 1 : t_ - 1];
            bool changed = false;
            for (int i = 0; i < step_.array_count; i++) {
                const int32_t kind = step_.arrays[i].kind, columns = step_.arrays[i].columns;
                if (kind == ELMAN_CARRY_IN && before < rows_) {
                    changed = true;
                    const Real* initial = (const Real*)run_.arrays[i].initial;
                    my_rows(before, rows_, [&](int64_t a, int64_t b) {
                        if (initial) memcpy(now_[i] + a * columns, initial + a * columns, (b - a) * columns * sizeof(Real));
                        else memset(now_[i] + a * columns, 0, (b - a) * columns * sizeof(Real));
                    });
                }
                if (resets_ && (kind == ELMAN_BEFORE || (kind == ELMAN_CARRY_IN && !run_.backwards))) {
                    changed = true;
                    replace_reset_rows(i);
                }
            }
            if (changed) wait();
        }

        void replace_reset_rows(int i) {
            const int32_t columns = step_.arrays[i].columns;
            Real* copy = s_.reals(s_.fresh_[i]);
            const Real* fresh = (const Real*)run_.arrays[i].fresh;
            my_rows(0, rows_, [&](int64_t a, int64_t b) {
                for (int64_t r = a; r < b; r++) {
                    const bool reset = run_.reset[run_.offset[t_] + r];
                    const Real* from = reset ? fresh : now_[i] + r * stride_[i];
                    if (from) memcpy(copy + r * columns, from, columns * sizeof(Real));
                    else memset(copy + r * columns, 0, columns * sizeof(Real));
                }
            });
            now_[i] = copy;
            if (step_.arrays[i].kind == ELMAN_BEFORE) stride_[i] = columns;
        }

        // Rows that ran for the last time leave their carry; backwards, nothing is carried past a reset.
        void end_rows() {
            const int64_t after = !run_.backwards && t_ + 1 < run_.steps ? run_.rows[t_ + 1] : 0;
            const bool leaving = run_.backwards ? t_ == 0 : after < rows_;
            const bool cut = run_.backwards && resets_;
            for (int i = 0; i < step_.array_count; i++) {
                if (step_.arrays[i].kind != ELMAN_CARRY_OUT) continue;
                const int32_t columns = step_.arrays[i].columns;
                if (cut)
                    my_rows(0, rows_, [&](int64_t a, int64_t b) {
                        for (int64_t r = a; r < b; r++)
                            if (run_.reset[run_.offset[t_] + r]) cut_off(i, r);
                    });
                Real* final = (Real*)run_.arrays[i].final;
                if (leaving && final)
                    my_rows(after, rows_, [&](int64_t a, int64_t b) {
                        memcpy(final + a * columns, now_[i] + a * columns, (b - a) * columns * sizeof(Real));
                    });
            }
            if (cut) wait();
        }

        void cut_off(int i, int64_t row) const {
            const int32_t columns = step_.arrays[i].columns;
            Real* carried = now_[i] + row * columns;
            if (s_.cut_bytes(i)) {
                Real* sum = s_.reals(s_.cut_[i]) + row / s_.tile_rows_ * columns;
                for (int32_t n = 0; n < columns; n++) sum[n] += carried[n];
            }
            memset(carried, 0, columns * sizeof(Real));
        }

        void run_stage(const Stage& stage, int& product) {
            const int64_t blocks = (stage.width + B - 1) / B;
            const int64_t begin = s_.by_tiles_ ? 0 : blocks * rank_ / threads_, end = s_.by_tiles_ ? blocks : blocks * (rank_ + 1) / threads_;
            make_lefts(stage);
            for (int64_t block = begin; block < end; block++) {
                for (int64_t tile = 0; tile * s_.tile_rows_ < rows_; tile++) {
                    if (!mine(tile)) continue;
                    const int64_t row = tile * s_.tile_rows_;
                    const int rows = (int)(rows_ - row < s_.tile_rows_ ? rows_ - row : s_.tile_rows_);
                    prefetch(stage, block, row, rows);
                    multiply_tile(stage, product, block, blocks, row, rows);
                    for (int i = 0; i < stage.instruction_count; i++) execute(stage, stage.instructions[i], block, tile, row, rows);
                }
            }
            product += stage.product_count;
            wait();
            if (stage.sum_count) {
                my_rows(0, rows_, [&](int64_t a, int64_t b) { add_blocks(stage, blocks, a, b); });
                wait();
            }
        }

        // Sequences come from far away: they are asked for before the products, and are there when the instructions read them.
        void prefetch(const Stage& stage, int64_t block, int64_t row, int rows) const {
            for (int i = 0; i < stage.touch_count; i++) {
                const elman::Touch& touch = stage.touches[i];
                const int64_t stride = stride_[touch.array];
                const char* at = (const char*)(now_[touch.array] + row * stride + touch.column + block * B);
                for (int r = 0; r < rows; r++, at += stride * sizeof(Real))
                    for (int line = 0; line < (int)(B * sizeof(Real)); line += 64) {
                        if (touch.write) __builtin_prefetch(at + line, 1);
                        else __builtin_prefetch(at + line, 0);
                    }
            }
        }

        // Left sides that aren't read in place. Where threads share the rows each makes all of them for itself.
        void make_lefts(const Stage& stage) {
            if constexpr (Kind::in_place) return;
            Left* to = (Left*)s_.reals(s_.lefts_[rank_]);
            for (int q = 0; q < stage.product_count; q++) {
                const Product& p = stage.products[q];
                const int64_t size = Kind::row_of_left(p.inner), array = p.array;
                for (int64_t r = 0; r < rows_; r++)
                    if (mine(r / s_.tile_rows_)) Kind::make_row(to + r * size, now_[array] + p.column + r * stride_[array], p.inner);
                to += (run_.batch + Kind::rows_beyond) * size;
            }
        }

        void multiply_unpacked(const Stage& stage, const Product& p, int piece, int64_t block, const Real* left, int64_t left_row, int rows,
                               Place addend) {
            const elman_weight& weight = run_.weights[p.weight];
            const int64_t first = piece * stage.width + block * B;
            const int columns = stage.width - block * B < B ? (int)(stage.width - block * B) : B;
            Real* to = registers_ + (int64_t)(p.reg + piece) * TILE * B;
            multiply_few_rows<Real>(rows, left, left_row, (const Real*)weight.data + first * weight.row_stride, weight.row_stride, p.inner,
                                    columns, p.bias ? (const Real*)weight.bias + first : nullptr, addend.data, addend.row, to, B);
            for (int r = 0; r < rows; r++)
                for (int n = columns; n < B; n++) to[r * B + n] = 0;
        }

        void multiply_tile(const Stage& stage, int product, int64_t block, int64_t blocks, int64_t row, int rows) {
            const Left* lefts = (const Left*)s_.reals(s_.lefts_[rank_]);
            for (int q = 0; q < stage.product_count; q++) {
                const Product& p = stage.products[q];
                const int64_t left_row = Kind::in_place ? stride_[p.array] : Kind::row_of_left(p.inner);
                const Left* left = lefts + row * left_row;
                if constexpr (Kind::in_place) left = now_[p.array] + p.column + row * left_row;
                else lefts += (run_.batch + Kind::rows_beyond) * left_row;
                for (int piece = 0; piece < p.pieces; piece++) {
                    const Real* panel = s_.reals(s_.panels_[product]) + (piece * blocks + block) * s_.panel_reals(p.inner);
                    Place addend{nullptr, 0};
                    if (p.addend >= 0) {
                        const Operand at{ELMAN_ARRAY, p.addend, p.addend_column + piece * stage.width};
                        const int64_t columns = stage.width - block * B;
                        addend = find(at, block, row);
                        if (columns < B) addend = stage_in(addend, 0, rows, (int)columns);
                    }
                    if constexpr (Kind::in_place) {
                        if (s_.unpacked_) {
                            multiply_unpacked(stage, p, piece, block, left, left_row, rows, addend);
                            continue;
                        }
                    }
                    Kind::multiply(rows, left, left_row, 1, panel + B, p.inner, BIAS, panel, addend.data, addend.row,
                                   registers_ + (int64_t)(p.reg + piece) * TILE * B, B);
                }
                product++;
            }
        }

        Place find(const Operand& o, int64_t block, int64_t row) const {
            switch (o.kind) {
                case ELMAN_REGISTER:
                case ELMAN_NUMBER: return {registers_ + (int64_t)o.index * TILE * B, B};
                case ELMAN_ARRAY: return {now_[o.index] + row * stride_[o.index] + o.column + block * B, stride_[o.index]};
                case ELMAN_CONSTANT: return {s_.reals(s_.constants_[o.index]), 0};
                default: return {nullptr, 0};
            }
        }

        void execute(const Stage& stage, const Instruction& i, int64_t block, int64_t tile, int64_t row, int rows) {
            const int columns = stage.width - block * B < B ? (int)(stage.width - block * B) : B;
            if (i.op == ELMAN_NUMBERS) {
                const Real* from = now_[i.a.index] + row * stride_[i.a.index] + i.a.column;
                Real* to = find(i.target, block, row).data;
                for (int r = 0; r < TILE; r++) to[r] = r < rows ? from[r * stride_[i.a.index]] : Real(0);
                return;
            }
            if (i.target.kind == ELMAN_NUMBER) return calculate(i, block, row);
            const bool by_number = i.b.kind == ELMAN_NUMBER;
            Place a = find(i.a, block, row), b = i.b.kind ? find(i.b, block, row) : a, d = find(i.target, block, row);
            // At the right edge an array's rows end within the block: such operands are copied to where they don't.
            if (i.op == ELMAN_NORMALISE || i.op == ELMAN_D_NORMALISE) return norm(stage, i, a, d, row, rows, columns);
            if (columns < B) {
                if (i.a.kind == ELMAN_ARRAY) a = stage_in(a, 0, rows, columns);
                if (i.b.kind == ELMAN_ARRAY) b = stage_in(b, 1, rows, columns);
            }
            if (i.op == ELMAN_ROW_SUM) return sum_columns(i, a, b, block, row, rows, columns);
            if (i.op == ELMAN_ROW_MOMENTS) return find_moments(i, a, block, row, rows, columns);
            if (i.op == ELMAN_SPREAD && !(columns < B && i.target.kind == ELMAN_ARRAY)) return spread(d, a.data, rows);
            if (i.op == ELMAN_ACCUMULATE) return accumulate(i, a, b, block, tile, rows, columns);
            if (columns < B && i.target.kind == ELMAN_ARRAY) {
                Real* edge = staging_ + 2 * TILE * B;
                if (i.op == ELMAN_SPREAD) spread({edge, B}, a.data, rows);
                else if (by_number) operate_by_number<Real>(i.op, edge, B, a.data, a.row, b.data, rows);
                else OPERATIONS<Real>[i.op](edge, B, a.data, a.row, b.data, b.row, rows);
                for (int r = 0; r < rows; r++) memcpy(d.data + r * d.row, edge + r * B, columns * sizeof(Real));
                return;
            }
            if (by_number) return operate_by_number<Real>(i.op, d.data, d.row, a.data, a.row, b.data, rows);
            OPERATIONS<Real>[i.op](d.data, d.row, a.data, a.row, b.data, b.row, rows);
        }

        // The numbers of a tile's rows stand side by side, where a tile has its first row or rows.
        void calculate(const Instruction& i, int64_t block, int64_t row) const {
            const Place a = find(i.a, block, row), b = i.b.kind ? find(i.b, block, row) : a, d = find(i.target, block, row);
            OPERATIONS<Real>[i.op](d.data, d.row, a.data, a.row, b.data, b.row, (TILE + B - 1) / B);
        }

        void norm(const Stage& stage, const Instruction& i, Place a, Place d, int64_t row, int rows, int columns) const {
            const int64_t numbers_row = stride_[i.b.index];
            const Real* numbers = now_[i.b.index] + row * numbers_row + i.b.column;
            const Place to = d;
            const bool edge = columns < B && i.target.kind == ELMAN_ARRAY;
            if (columns < B && i.a.kind == ELMAN_ARRAY) a = stage_in(a, 0, rows, columns);
            if (edge) d = stage_in(d, 1, rows, columns);
            normalise<Real>(i.op, d.data, d.row, a.data, a.row, numbers, numbers_row, rows, (Real)stage.width);
            for (int r = 0; edge && r < rows; r++) memcpy(to.data + r * to.row, d.data + r * d.row, columns * sizeof(Real));
        }

        // The target may be the register that the numbers stand in.
        static void spread(Place to, const Real* from, int rows) {
            Real numbers[TILE];
            memcpy(numbers, from, sizeof numbers);
            for (int r = 0; r < rows; r++) {
                const auto v = broadcast<Real>(numbers[r]);
                store<Real>(to.data + r * to.row, v);
                store<Real>(to.data + r * to.row + LANES<Real>, v);
            }
        }

        Place stage_in(Place from, int slot, int rows, int columns) const {
            Real* to = staging_ + slot * TILE * B;
            for (int r = 0; r < rows; r++) {
                memcpy(to + r * B, from.data + r * from.row, columns * sizeof(Real));
                for (int n = columns; n < B; n++) to[r * B + n] = 0;
            }
            return {to, B};
        }

        // A vector for each row: lanes are added up only when all blocks are there.
        Real* block_sums(int32_t sum, int64_t block) const {
            return s_.reals(s_.sums_) + (sum * s_.most_blocks_ + block) * run_.batch * LANES<Real>;
        }

        void sum_columns(const Instruction& i, Place a, Place b, int64_t block, int64_t row, int rows, int columns) const {
            constexpr int L = LANES<Real>;
            if (columns < B) a = stage_in(a, 0, rows, columns);
            Real* sums = block_sums(i.target.index, block) + row * L;
            if (i.b.kind == ELMAN_NONE) {
                for (int r = 0; r < rows; r++, a.data += a.row, sums += L) store<Real>(sums, load<Real>(a.data) + load<Real>(a.data + L));
                return;
            }
            if (columns < B) b = stage_in(b, 1, rows, columns);
            for (int r = 0; r < rows; r++, a.data += a.row, b.data += b.row, sums += L)
                store<Real>(sums, load<Real>(a.data) * load<Real>(b.data) + load<Real>(a.data + L) * load<Real>(b.data + L));
        }

        // Of each lane's two columns the sum, and the sum of squares about their mean.
        void find_moments(const Instruction& i, Place a, int64_t block, int64_t row, int rows, int columns) const {
            constexpr int L = LANES<Real>;
            if (columns < B) a = stage_in(a, 0, rows, columns);
            Real *sums = block_sums(i.target.index, block) + row * L, *squares = block_sums(i.target.index + 1, block) + row * L;
            // At the edge a lane may have one column, whose sum of squares is zero.
            const auto both = columns < B ? lane_counts(columns) - Real(1) : broadcast<Real>(1);
            for (int r = 0; r < rows; r++, a.data += a.row, sums += L, squares += L) {
                const auto low = load<Real>(a.data), high = load<Real>(a.data + L), difference = low - high;
                store<Real>(sums, low + high);
                store<Real>(squares, both > 0 ? difference * difference * Real(0.5) : typename Simd<Real>::V{});
            }
        }

        // How many columns of a block each lane has.
        static typename Simd<Real>::V lane_counts(int columns) {
            Real counts[LANES<Real>];
            for (int n = 0; n < LANES<Real>; n++) counts[n] = (Real)((n < columns) + (n + LANES<Real> < columns));
            return load<Real>(counts);
        }

        // Halves are added, and halves of that.
        template <class V>
        static Real add_lanes(V v) {
            if constexpr (sizeof v == 2 * sizeof(Real)) return v[0] + v[1];
            else {
                typedef Real Half __attribute__((vector_size(sizeof v / 2)));
                Half low, high;
                memcpy(&low, &v, sizeof low);
                memcpy(&high, (const char*)&v + sizeof low, sizeof high);
                return add_lanes(low + high);
            }
        }

        void add_blocks(const Stage& stage, int64_t blocks, int64_t begin, int64_t end) const {
            constexpr int L = LANES<Real>;
            for (int i = 0; i < stage.sum_count; i++) {
                const int32_t sum = stage.sums[i];
                if (sum < 0) {
                    add_moments(-1 - sum, stage.width, blocks, begin, end);
                    continue;
                }
                const int32_t array = step_.sums[sum].array;
                for (int64_t r = begin; r < end; r++) {
                    typename Simd<Real>::V total{};
                    for (int64_t block = 0; block < blocks; block++) total += load<Real>(block_sums(sum, block) + r * L);
                    now_[array][r * stride_[array] + step_.sums[sum].column] = add_lanes(total);
                }
            }
        }

        // Mean and variance from the sums of each lane's two columns and their squares about their own mean: with m the mean of n
        // columns, their squares about the mean M of all are those about m, and n (m - M)². Nothing is lost where M is far from zero.
        void add_moments(int32_t sum, int32_t width, int64_t blocks, int64_t begin, int64_t end) const {
            constexpr int L = LANES<Real>;
            typedef typename Simd<Real>::V V;
            const elman::RowSum &to_mean = step_.sums[sum], &to_deviation = step_.sums[sum + 1];
            const Real epsilon = (Real)step_.constants[to_mean.epsilon];
            const int64_t whole = width / B, left = width % B;
            const V last = lane_counts((int)left), share = last > 0 ? Real(1) / last : V{};
            const int64_t next = run_.batch * L;
            for (int64_t r = begin; r < end; r++) {
                const Real *sums = block_sums(sum, 0) + r * L, *squares = block_sums(sum + 1, 0) + r * L;
                V total{}, about{};
                for (int64_t block = 0; block < blocks; block++) total += load<Real>(sums + block * next);
                const Real mean = add_lanes(total) / width;
                for (int64_t block = 0; block < whole; block++) {
                    const V off = load<Real>(sums + block * next) * Real(0.5) - mean;
                    about += load<Real>(squares + block * next) + (off + off) * off;
                }
                if (left) {
                    const V off = load<Real>(sums + whole * next) * share - mean;
                    about += load<Real>(squares + whole * next) + off * off * last;
                }
                const Real variance = add_lanes(about) / width;
                now_[to_mean.array][r * stride_[to_mean.array] + to_mean.column] = mean;
                Real& deviation = now_[to_deviation.array][r * stride_[to_deviation.array] + to_deviation.column];
                if constexpr (sizeof(Real) == 4) deviation = 1 / __builtin_sqrtf(variance + epsilon);
                else deviation = 1 / __builtin_sqrt(variance + epsilon);
            }
        }

        void accumulate(const Instruction& i, Place a, Place b, int64_t block, int64_t tile, int rows, int columns) const {
            Real* to = s_.reals(s_.accumulators_) + tile * s_.accumulator_stride() + i.target.column + block * B;
            const bool product = i.b.kind != ELMAN_NONE;
            if (columns == B && product) return add_products<Real>(to, a.data, a.row, b.data, b.row, rows);
            if (columns == B) return add_rows<Real>(to, a.data, a.row, rows);
            for (int r = 0; r < rows; r++)
                for (int n = 0; n < columns; n++) to[n] += product ? a.data[r * a.row + n] * b.data[r * b.row + n] : a.data[r * a.row + n];
        }

        void clear_sums() const {
            for (int64_t tile = 0; tile < s_.tiles_; tile++) {
                if (!dealt(tile)) continue;
                memset(s_.reals(s_.accumulators_) + tile * s_.accumulator_stride(), 0, s_.accumulator_stride() * sizeof(Real));
                for (int i = 0; i < step_.array_count; i++) {
                    const int64_t bytes = s_.cut_bytes(i) / s_.tiles_;
                    memset((char*)s_.reals(s_.cut_[i]) + tile * bytes, 0, bytes);
                }
            }
            wait();
        }

        const Sequence& s_;
        const elman_step& step_;
        const elman_run& run_;
        const int rank_, threads_;
        elman::Barrier& barrier_;
        Real** now_;       // each array's first row of this step
        int64_t* stride_;  // and the distance to the next
        Real *registers_, *staging_;
        int64_t t_ = 0, rows_ = 0;
        bool first_ = true, resets_ = false, flip_ = false;
    };

    const elman_step& step_;
    const elman_run& run_;
    int tile_rows_;
    bool by_tiles_, unpacked_;
    int threads_;
    int64_t tiles_, bytes_ = 0, most_blocks_ = 1, most_left_ = 0, zeros_, zeros_bytes_, sums_, accumulators_;
    List<int64_t> panels_, constants_, buffers_, fresh_, cut_, registers_, places_, lefts_;
};

template <class Kind>
void run_steps(const elman_step* step, const elman_run* run) {
    if (is_scan(*step)) Scan<typename Kind::Element>(*step, *run).run();
    else Sequence<Kind>(*step, *run).run();
}

template <class Kind>
int64_t run_workspace(const elman_step* step, const elman_run* run) {
    return is_scan(*step) ? Scan<typename Kind::Element>(*step, *run).bytes() : Sequence<Kind>(*step, *run).bytes();
}

}  // namespace
