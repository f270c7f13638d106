// x Wᵀ + b for so few rows x that reading W from memory takes all the time: one token of one or a few texts. W may be
// bfloat16, half as much to read; x and all sums are `Real`.

#include <algorithm>

#include "arithmetic.h"

namespace lstmlm {

// What `Linear` in models/kernels/native/__init__.py fills in.
struct Linear {
    int64_t n_rows, depth, n_columns, n_threads;
    const void* rows;    // (rows, depth)
    const void* weight;  // (columns, depth), in the number format that the function is named after
    const void* bias;    // (columns); may be null
    void* out;           // (rows, columns)
};

// A row of W is read from end to end, since memory is fastest where it knows what comes next, into so many vectors of sums
// that none waits for the one before. More rows of x take turns: by the second turn the row of W is in the cache.
constexpr int VECTORS = 4, MOST_ROWS = 4;

// The last numbers of a row that do not fill a vector, in its last lanes, behind zeros: what they are multiplied with may
// then be loaded from the end of its row, some of it a second time.
template <class Real> Vector<Real> last_lanes(const Real* row, int64_t n_whole, int64_t depth) {
    Real lanes[LANES<Real>] = {};
    std::copy(row + n_whole, row + depth, lanes + LANES<Real> - (depth - n_whole));
    return load<Real>(lanes);
}

// One column of ROWS rows from `first` on. Every sum is added up in the same order, whatever ROWS is.
template <class Weight, class Real, int ROWS> void multiply_column(const Linear& l, int64_t first, int64_t column) {
    constexpr int64_t LANE = LANES<Real>;
    const Real* rows = static_cast<const Real*>(l.rows) + first * l.depth;
    const Weight* weight = static_cast<const Weight*>(l.weight) + column * l.depth;
    Vector<Real> sums[ROWS][VECTORS] = {};
    const int64_t n_whole = l.depth / LANE * LANE;
    int64_t k = 0;
    for (; k + VECTORS * LANE <= n_whole; k += VECTORS * LANE)
#pragma GCC unroll 4
        for (int vector = 0; vector < VECTORS; ++vector) {
            const Vector<Real> w = load<Real>(weight + k + vector * LANE);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; ++row)
                sums[row][vector] += load<Real>(rows + row * l.depth + k + vector * LANE) * w;
        }
    for (; k < n_whole; k += LANE)
        for (int row = 0; row < ROWS; ++row)
            sums[row][0] += load<Real>(rows + row * l.depth + k) * load<Real>(weight + k);
    for (int row = 0; row < ROWS; ++row) {
        const Real* x = rows + row * l.depth;
        if (k < l.depth && LANE <= l.depth)
            sums[row][1] += last_lanes(x, k, l.depth) * load<Real>(weight + l.depth - LANE);
        Real sum = total<Real>((sums[row][0] + sums[row][1]) + (sums[row][2] + sums[row][3]));
        for (int64_t i = 0; i < l.depth && l.depth < LANE; ++i) sum += x[i] * widen(weight[i]);
        sum += l.bias ? static_cast<const Real*>(l.bias)[column] : 0;
        static_cast<Real*>(l.out)[(first + row) * l.n_columns + column] = sum;
    }
}

template <class Weight, class Real> void multiply_rows(const Linear& l) {
#pragma omp parallel for schedule(static) num_threads(int(l.n_threads))
    for (int64_t column = 0; column < l.n_columns; ++column) {
        int64_t row = 0;
        for (; row + MOST_ROWS <= l.n_rows; row += MOST_ROWS) multiply_column<Weight, Real, MOST_ROWS>(l, row, column);
        for (; row < l.n_rows; ++row) multiply_column<Weight, Real, 1>(l, row, column);
    }
}

}  // namespace lstmlm

extern "C" void linear_float32(const lstmlm::Linear* l) { lstmlm::multiply_rows<float, float>(*l); }
extern "C" void linear_float64(const lstmlm::Linear* l) { lstmlm::multiply_rows<double, double>(*l); }
extern "C" void linear_bfloat16(const lstmlm::Linear* l) { lstmlm::multiply_rows<lstmlm::bfloat16, float>(*l); }
