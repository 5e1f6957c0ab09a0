// Cells with a matrix for a state in chunks against the same step by step. For core_tests.cpp.
#pragma once
#include "chunk_cells.h"

namespace {

template <class Real>
std::vector<Real> as(const std::vector<double>& x) { return std::vector<Real>(x.begin(), x.end()); }

template <class Real>
void test_chunks_of(const ChunkGiven& given) {
    const ChunkSize& s = given.size;
    const auto u = as<Real>(given.u), parameters = as<Real>(given.parameters), initial = as<Real>(given.initial), fresh = as<Real>(given.fresh),
               dy = as<Real>(given.dy), dlast = as<Real>(given.dlast);
    std::ostringstream what;
    what << (s.mlstm() ? "mLSTM" : s.mamba2() ? "Mamba-2" : "gated DeltaNet") << ", real " << sizeof(Real) << ", T " << s.steps << ", B " << s.batch << ", A " << s.heads << ", K " << s.keys
         << ", P " << s.values << ", chunk " << s.chunk << (s.option ? ", option" : "") << (given.lengths.empty() ? "" : ", lengths")
         << (given.reset.empty() ? "" : ", resets");
    const auto outputs = [&](int threads) {
        const Real nan = std::numeric_limits<Real>::quiet_NaN();
        ChunkFound<Real> found(s, nan), unkept(s, nan);
        std::vector<Real> borders(s.borders(), nan);
        elman_chunks d{};
        d.real_bytes = sizeof(Real), d.threads = threads, d.cell = s.cell, d.option = s.option;
        d.steps = s.steps, d.batch = s.batch, d.heads = s.heads, d.keys = s.keys, d.values = s.values, d.chunk = s.chunk;
        d.u = u.data(), d.parameters = parameters.data(), d.initial = initial.data(), d.fresh = fresh.empty() ? nullptr : fresh.data();
        d.lengths = given.lengths.empty() ? nullptr : given.lengths.data(), d.reset = given.reset.empty() ? nullptr : given.reset.data();
        const Workspace forward(elman_chunks_workspace(&d, 0));
        d.workspace = forward.data();
        d.y = unkept.y.data(), d.last = unkept.last.data();
        elman_chunks_forward(&d);
        d.y = found.y.data(), d.last = found.last.data(), d.borders = borders.data();
        elman_chunks_forward(&d);
        expect(same_bits(unkept.y, found.y) && same_bits(unkept.last, found.last), "%s: what is kept changes bits", what.str().c_str());
        d.y = d.last = nullptr;
        d.dy = dy.data(), d.dlast = dlast.data();
        d.du = found.du.data(), d.dparameters = found.dparameters.data(), d.dinitial = found.dinitial.data(), d.dfresh = found.dfresh.data();
        const Workspace backward(elman_chunks_workspace(&d, 1));
        d.workspace = backward.data();
        elman_chunks_backward(&d);
        return found.all();
    };
    ChunkFound<double> right(s);
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t h = 0; h < s.heads; h++) {
            if (s.mamba2()) Mamba2Head{{given, right, b, h}, {}, {}}.run();
            else if (s.mlstm()) MLSTMHead{{given, right, b, h}, {}, {}, {}, {}}.run();
            else DeltaHead{{given, right, b, h}, {}, {}}.run();
        }
    const auto found = same_for_all_threads<Real>(what.str().c_str(), outputs);
    // An mLSTM divides by a sum that may be nearly zero.
    const double tolerance = sizeof(Real) == 4 ? 1e-4 : 1e-11;
    expect_close(found, right.all(), s.mlstm() ? 10 * tolerance : tolerance, what.str().c_str());
}

void test_chunks() {
    Random random(11);
    const auto test = [&](const ChunkSize& size, int kind) {
        const ChunkGiven given(size, kind % 2, kind / 2 % 2 ? 0.1 : 0, kind / 4 % 2, random);
        if (kind / 8 % 2) test_chunks_of<float>(given);
        else test_chunks_of<double>(given);
    };
    for (int cell = 0; cell < ELMAN_MATRIX_CELLS; cell++) {
        for (int64_t steps : {0, 1, 2, 9, 40})
            for (int64_t chunk : {1, 3, 8, 17, 64})
                for (int64_t keys : {1, 5, 16})
                    for (int64_t values : {1, 7, 33}) {
                        const int kind = (int)random.below(16);
                        const int64_t batch = 1 + random.below(3), heads = 1 + random.below(3);
                        if (random.below(THIN) == 0) test({cell, steps, batch, heads, keys, values, chunk, random.below(2) == 0}, kind);
                    }
        // All kinds of one size, and chunks as they are in use.
        for (int kind = 0; kind < 16; kind++) test({cell, 23, 4, 2, 6, 9, 7, kind % 3 > 0}, kind);
        for (int kind : {0, 7, 15}) test({cell, 150, 2, 2, 64, 64, 64, true}, kind);
    }
}

}  // namespace
