// Lᵀ R: the sum over many rows of their outer products, which is the gradient of a weight.

#include "matrix.h"

namespace lstmlm {

// What `Outer` in models/kernels/native/__init__.py fills in.
struct Outer {
    int64_t n_rows, n_left, n_right, n_threads;
    const void* left;   // (rows, left)
    const void* right;  // (rows, right)
    void* out;          // (left, right)
};

// Rows that are summed before the sums are written, and columns of the left side that are packed at a time: together
// with two panels of the right side these stay in the second cache.
constexpr int64_t ROWS_AT_ONCE = 512, COLUMNS_AT_ONCE = 16 * MAX_ROWS;

// The products of a block (rows, MAX_ROWS) of the left side with PANELS panels of the right one, summed over rows.
template <class Real, int PANELS>
void sum_products(const Real* block, const Real* panels, int64_t panel_size, int64_t n_rows, Sums<Real>& out) {
    Vector<Real> sums[MAX_ROWS][PANELS] = {};
    for (int64_t row = 0; row < n_rows; ++row) {
        Vector<Real> right[PANELS];
#pragma GCC unroll 2
        for (int panel = 0; panel < PANELS; ++panel)
            std::memcpy(&right[panel], panels + panel * panel_size + row * LANES<Real>, sizeof right[panel]);
#pragma GCC unroll 16
        for (int i = 0; i < MAX_ROWS; ++i)
#pragma GCC unroll 2
            for (int panel = 0; panel < PANELS; ++panel) sums[i][panel] += block[row * MAX_ROWS + i] * right[panel];
    }
    for (int i = 0; i < MAX_ROWS; ++i) std::memcpy(out[i], sums[i], sizeof sums[i]);
}

// Columns of the left side (rows, columns) in blocks (rows, MAX_ROWS), the last filled up with zeros.
template <class Real>
void pack_blocks(const Real* left, int64_t stride, int64_t n_columns, int64_t n_rows, Real* blocks) {
    for (int64_t first = 0; first < n_columns; first += MAX_ROWS) {
        const int64_t width = std::min<int64_t>(MAX_ROWS, n_columns - first);
        Real* const block = blocks + first * n_rows;
        if (width < MAX_ROWS) std::fill_n(block, n_rows * MAX_ROWS, Real(0));
        for (int64_t row = 0; row < n_rows; ++row)
            std::copy_n(left + row * stride + first, width, block + row * MAX_ROWS);
    }
}

// Sum over `n_rows` rows from `first` on, into `out` for the first of them, onto it for others.
template <class Real> void outer_of(const Outer& o, int64_t first, int64_t n_rows) {
    const Real* const left = static_cast<const Real*>(o.left) + first * o.n_left;
    const Real* const right = static_cast<const Real*>(o.right) + first * o.n_right;
    Matrix<Real, Real> matrix(right, o.n_right, n_rows, 1, o.n_right);
    in_parallel(o.n_threads, o.n_left, [&](const Place& place) {
        matrix.pack(place);
        const Range mine = place.share_of(o.n_left);
        const std::unique_ptr<Real[]> blocks(new Real[n_rows * COLUMNS_AT_ONCE]);
        alignas(64) Sums<Real> sums;
        wait();
        for (int64_t column = mine.first; column < mine.last; column += COLUMNS_AT_ONCE) {
            const int64_t n_columns = std::min(COLUMNS_AT_ONCE, mine.last - column);
            pack_blocks(left + column, o.n_left, n_columns, n_rows, blocks.get());
            for (int64_t panel = 0; panel < matrix.n_panels; panel += 2) {
                const int64_t unit = panel * LANES<Real>, n_units = std::min<int64_t>(2 * LANES<Real>, o.n_right - unit);
                for (int64_t block = 0; block < n_columns; block += MAX_ROWS) {
                    const auto sum = panel + 1 < matrix.n_panels ? sum_products<Real, 2> : sum_products<Real, 1>;
                    sum(&blocks[block * n_rows], matrix.panel(panel), matrix.panel_size, n_rows, sums);
                    for (int64_t i = 0; i < std::min<int64_t>(MAX_ROWS, n_columns - block); ++i) {
                        Real* const to = static_cast<Real*>(o.out) + (column + block + i) * o.n_right + unit;
                        for (int64_t j = 0; j < n_units; ++j) to[j] = first ? to[j] + sums[i][j] : sums[i][j];
                    }
                }
            }
        }
    });
}

template <class Real> void outer(const Outer& o) {
    for (int64_t first = 0; first < o.n_rows; first += ROWS_AT_ONCE)
        outer_of<Real>(o, first, std::min(ROWS_AT_ONCE, o.n_rows - first));
}

}  // namespace lstmlm

extern "C" void outer_float32(const lstmlm::Outer* o) { lstmlm::outer<float>(*o); }
extern "C" void outer_float64(const lstmlm::Outer* o) { lstmlm::outer<double>(*o); }
