// x Wᵀ + b for so few rows x that reading W from memory takes all the time: one token of one or a few texts.

#include <utility>

#include "arithmetic.h"

namespace lstmlm {

// What `Linear` in models/kernels/native/__init__.py fills in.
struct Linear {
    int64_t n_rows, depth, n_columns, n_threads;
    const void* rows;    // (rows, depth)
    const void* weight;  // (columns, depth)
    const void* bias;    // (columns); may be null
    void* out;           // (rows, columns)
};

constexpr int MOST_ROWS = 8;

// One row of W after another leaves memory waiting, so several are read at once; more rows of x leave fewer registers.
template <int ROWS> constexpr int AT_ONCE = ROWS <= 2 ? 8 : 16 / ROWS;

// Columns `first` to `first` + COLUMNS of all rows. Every sum is added up in the same order, whatever ROWS is.
template <class Real, int ROWS, int COLUMNS> void multiply_columns(const Linear& l, int64_t first) {
    constexpr int LANE = LANES<Real>;
    const Real* rows = static_cast<const Real*>(l.rows);
    const Real* weight = static_cast<const Real*>(l.weight) + first * l.depth;
    const Real* bias = static_cast<const Real*>(l.bias);
    Vector<Real> sums[ROWS][COLUMNS] = {};
    const int64_t n_whole = l.depth / LANE * LANE;
    for (int64_t k = 0; k < n_whole; k += LANE) {
        Vector<Real> x[ROWS];
        for (int row = 0; row < ROWS; ++row) std::memcpy(&x[row], rows + row * l.depth + k, sizeof x[row]);
#pragma GCC unroll 8
        for (int column = 0; column < COLUMNS; ++column) {
            Vector<Real> w;
            std::memcpy(&w, weight + column * l.depth + k, sizeof w);
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; ++row) sums[row][column] += x[row] * w;
        }
    }
    for (int row = 0; row < ROWS; ++row)
        for (int column = 0; column < COLUMNS; ++column) {
            Real sum = 0;
            for (int lane = 0; lane < LANE; ++lane) sum += sums[row][column][lane];
            for (int64_t k = n_whole; k < l.depth; ++k) sum += rows[row * l.depth + k] * weight[column * l.depth + k];
            static_cast<Real*>(l.out)[row * l.n_columns + first + column] = sum + (bias ? bias[first + column] : 0);
        }
}

template <class Real, int ROWS> void multiply_rows(const Linear& l) {
    constexpr int COLUMNS = AT_ONCE<ROWS>;
    const int64_t n_blocks = l.n_columns / COLUMNS;
#pragma omp parallel num_threads(int(l.n_threads))
    {
#pragma omp for schedule(static) nowait
        for (int64_t block = 0; block < n_blocks; ++block) multiply_columns<Real, ROWS, COLUMNS>(l, block * COLUMNS);
#pragma omp for schedule(static)
        for (int64_t column = n_blocks * COLUMNS; column < l.n_columns; ++column)
            multiply_columns<Real, ROWS, 1>(l, column);
    }
}

template <class Real, int... ROWS> void multiply_few_rows(const Linear& l, std::integer_sequence<int, ROWS...>) {
    ((l.n_rows == ROWS + 1 ? multiply_rows<Real, ROWS + 1>(l) : void()), ...);
}

}  // namespace lstmlm

extern "C" void linear_float32(const lstmlm::Linear* l) {
    lstmlm::multiply_few_rows<float>(*l, std::make_integer_sequence<int, lstmlm::MOST_ROWS>());
}
extern "C" void linear_float64(const lstmlm::Linear* l) {
    lstmlm::multiply_few_rows<double>(*l, std::make_integer_sequence<int, lstmlm::MOST_ROWS>());
}
