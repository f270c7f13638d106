// x Wᵀ + b for so few rows x that reading W from memory takes all the time: one token of one or a few texts. W may be
// bfloat16, half as much to read; x and all sums are `Real`.
//
// A row of W is read from end to end. A thread reads two at once, from the halves of its part of W: memory that is busy
// answers each so late that one does not keep it at work, and more are not followed by the processor, which guesses what
// comes next. More rows of x take turns: by the second turn the rows of W are in the cache.

#include "packing.h"
#include "threads.h"

namespace lstmlm {

// What `Linear` in models/kernels/native/__init__.py fills in.
struct Linear {
    int64_t n_rows, depth, n_columns, n_threads;
    const void* rows;    // (rows, depth)
    const void* weight;  // (columns, depth), in the number format that the function is named after
    const void* bias;    // (columns); may be null
    void* out;           // (rows, columns)
};

constexpr int MOST_ROWS = VECTOR_BYTES == 64 ? 4 : 2;

// Two vectors' worth of W. Of bfloat16 they are one vector in memory, of pairs: first the lower ones, then the upper.
template <class Real> void load_two(const Real* from, Vector<Real> (&two)[2]) {
    two[0] = load<Real>(from);
    two[1] = load<Real>(from + LANES<Real>);
}
inline void load_two(const bfloat16* from, Vector<float> (&two)[2]) {
    Vector<uint32_t> pairs;
    std::memcpy(&pairs, from, sizeof pairs);
    two[0] = std::bit_cast<Vector<float>>(pairs << 16);
    two[1] = std::bit_cast<Vector<float>>(pairs & 0xFFFF0000u);
}

// A product for `Weight`, with x laid out as `load_two` gives W. A row's last numbers that do not fill two vectors stand
// at the end of two, behind zeros: their partners are then loaded from the end of a row of W, some a second time.
template <class Weight, class Real> class FewRows {
    static constexpr int64_t TWO = 2 * LANES<Real>;

    const Linear& l;
    const int64_t n_whole = l.depth / TWO, n_twos = l.depth < TWO ? 0 : parts(l.depth, TWO);
    const Room<Real> laid_out = room_for<Real>(l.n_rows * n_twos * TWO);

  public:
    explicit FewRows(const Linear& linear) : l(linear) {
        for (int64_t row = 0; row < l.n_rows; ++row)
            for (int64_t k = 0; k < n_twos * TWO; ++k) {
                const bool is_last = k >= n_whole * TWO;
                const int64_t at = is_last ? l.depth - n_twos * TWO + k : k;
                const int64_t lane = std::is_same_v<Weight, Real> ? k % TWO : k % 2 * LANES<Real> + k % TWO / 2;
                laid_out[(row * n_twos + k / TWO) * TWO + lane] =
                    is_last && at < n_whole * TWO ? 0 : static_cast<const Real*>(l.rows)[row * l.depth + at];
            }
    }

    // A thread's columns.
    void multiply(Range columns) const {
        const int64_t half = (columns.last - columns.first) / 2;
        for (int64_t column = columns.first; column < columns.first + half; ++column) multiply_columns<2>(column, half);
        for (int64_t column = columns.first + 2 * half; column < columns.last; ++column) multiply_columns<1>(column, 0);
    }

  private:
    template <int COLUMNS> void multiply_columns(int64_t column, int64_t apart) const {
        int64_t row = 0;
        for (; row + MOST_ROWS <= l.n_rows; row += MOST_ROWS) multiply_tile<MOST_ROWS, COLUMNS>(row, column, apart);
        for (; row < l.n_rows; ++row) multiply_tile<1, COLUMNS>(row, column, apart);
    }

    // Every sum is added up in the same order, whatever ROWS and COLUMNS are.
    template <int ROWS, int COLUMNS> void multiply_tile(int64_t first_row, int64_t first_column, int64_t apart) const {
        const Real* const x = laid_out.get() + first_row * n_twos * TWO;
        const Weight* const weight = static_cast<const Weight*>(l.weight) + first_column * l.depth;
        Vector<Real> sums[ROWS][COLUMNS][2] = {}, w[2];
        for (int64_t two = 0; two < n_twos; ++two) {
            const int64_t at = std::min(two * TWO, l.depth - TWO);
#pragma GCC unroll 2
            for (int column = 0; column < COLUMNS; ++column) {
                load_two(weight + column * apart * l.depth + at, w);
#pragma GCC unroll 4
                for (int row = 0; row < ROWS; ++row)
#pragma GCC unroll 2
                    for (int i = 0; i < 2; ++i)
                        sums[row][column][i] += load<Real>(x + (row * n_twos + two) * TWO + i * LANES<Real>) * w[i];
            }
        }
        for (int row = 0; row < ROWS; ++row)
            for (int column = 0; column < COLUMNS; ++column) {
                const int64_t to = first_column + column * apart;
                Real sum = total<Real>(sums[row][column][0] + sums[row][column][1]);
                for (int64_t k = 0; n_twos == 0 && k < l.depth; ++k)
                    sum += static_cast<const Real*>(l.rows)[(first_row + row) * l.depth + k] *
                           widen(weight[column * apart * l.depth + k]);
                sum += l.bias ? static_cast<const Real*>(l.bias)[to] : 0;
                static_cast<Real*>(l.out)[(first_row + row) * l.n_columns + to] = sum;
            }
    }
};

template <class Weight, class Real> void multiply_few_rows(const Linear& l) {
    const FewRows<Weight, Real> product(l);
    in_parallel(l.n_threads, l.n_rows, [&](const Place& place) { product.multiply(place.share_of(l.n_columns)); });
}

}  // namespace lstmlm

extern "C" void linear_float32(const lstmlm::Linear* l) { lstmlm::multiply_few_rows<float, float>(*l); }
extern "C" void linear_float64(const lstmlm::Linear* l) { lstmlm::multiply_few_rows<double, double>(*l); }
extern "C" void linear_bfloat16(const lstmlm::Linear* l) { lstmlm::multiply_few_rows<lstmlm::bfloat16, float>(*l); }
