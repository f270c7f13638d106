// The loss of the last layer and its gradients: products on both sides of a softmax, for so many rows at a time that
// their logits stay in the last cache. Around them, every thread packs for itself what its registers read next:
//
//   logits = X Wᵀ   two panels of W at a time, while all rows of the block pass by
//   softmax         a row at a time
//   ∂X = G W        a thread's part of every row, for as many columns at a time as panels of W stay in its cache
//   ∂W = Gᵀ X, ∂b   a tile of G at a time; the panels of X are common to all threads
//
// Where a thread has no part of its own, whoever is free takes the next; so the last evens out what the third does not.
// Every sum has one order, whatever the number of threads.

#include "product.h"
#include "threads.h"

namespace lstmlm {

// What `CrossEntropy` in models/kernels/native/__init__.py fills in.
struct CrossEntropy {
    int64_t n_rows, n_columns, depth, n_threads;
    int64_t rows_at_once, stride;  // of the block of logits: its rows, and how far apart they lie
    int64_t differentiate;         // whether logits become the gradient of the loss, see cross_entropy.py
    double least_share;            // of a gradient, whatever is beside
    const void* rows;              // (rows, depth) Operand: X; null where logits, without bias, are given
    const void* weight;            // (columns, depth) Real: W
    const void* bias;              // (columns) Real
    const int64_t* targets;        // (rows), negative for none
    const void* beside;            // (rows) Real: ln of what is added to the target's probability; null for nothing
    void* logits;                  // room for a block, Operand
    void* nats;                    // (rows) Real: −ln p of the target, 0 for none
    void* grad_rows;               // (rows, depth) Real, zeros to which it is added; this and the next two may be null
    void* grad_weight;             // (columns, depth) Real
    void* grad_bias;               // (columns) Real, zeros
};

constexpr double LN_2 = 0.6931471805599453;
constexpr int64_t CHUNK = 4096;  // sums of exponentials are added up in chunks, so that long ones stay exact

// Returns the loss of a row of logits, `row` of all; `values` is room for as many numbers.
template <class Operand, class Real>
Real softmax(const CrossEntropy& c, int64_t row, Operand* __restrict logits, Real* __restrict values) {
    const int64_t target = c.targets[row];
    const Real* __restrict bias = static_cast<const Real*>(c.bias);
    if (target < 0) {
        if (c.differentiate) std::fill(logits, logits + c.n_columns, Operand{});
        return 0;
    }
    Real largest = -INFINITY;
#pragma omp simd reduction(max : largest)
    for (int64_t j = 0; j < c.n_columns; ++j) {
        values[j] = widen(logits[j]) + bias[j];
        largest = values[j] > largest ? values[j] : largest;
    }
    const Real wanted = values[target];
    double total = 0;
    for (int64_t first = 0; first < c.n_columns; first += CHUNK) {
        Real sum = 0;
        const int64_t last = std::min(first + CHUNK, c.n_columns);
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < last; ++j) {
            values[j] = exponential(values[j] - largest);
            sum += values[j];
        }
        total += sum;
    }
    const Real nats = Real(std::log(total) + double(largest) - double(wanted));
    if (!c.differentiate) return nats;
    const Real* const beside = static_cast<const Real*>(c.beside);
    const double of_softmax = beside ? 1 / (1 + std::exp(double(nats) + double(beside[row]))) : 1;
    const double share = c.least_share + (1 - c.least_share) * of_softmax;
    const Real scale = Real(share / total);
    for (int64_t j = 0; j < c.n_columns; ++j) logits[j] = narrow<Operand>(values[j] * scale);
    // p − 1 = exp(−nats) − 1, here without the rounding of p; below p = 1/2 the 1 is subtracted elsewhere.
    const double of_target = nats > Real(LN_2) ? std::exp(-double(nats)) : std::expm1(-double(nats));
    logits[target] = narrow<Operand>(Real(share * of_target));
    return nats;
}

// What threads have taken of a block.
struct Queues {
    Queue logits, rows, tiles;
};

// A block of rows: of X, of the logits, and of what becomes of them.
template <class Operand, class Real> class LossOfBlock {
    static constexpr int64_t LANE = LANES<Real>, STEP = DEPTH<Operand>, COLUMNS_AT_ONCE = 512 * STEP, LINES_AT_ONCE = 8;

    const CrossEntropy& c;
    const Place& place;
    const Range rows;
    Queues& queues;
    const int64_t n_rows = rows.last - rows.first, n_tiles = parts(n_rows, MAX_ROWS), n_panels = parts(c.depth, LANE);
    const Operand* const x = static_cast<const Operand*>(c.rows) + rows.first * c.depth;
    const Real* const weight = static_cast<const Real*>(c.weight);
    Operand* const logits = static_cast<Operand*>(c.logits);

    // Of operands packed for a number of units, side by side in each step of a depth.
    static int64_t size(int64_t n_units, int64_t depth) { return steps<Operand>(depth) * STEP * n_units; }

    // Panels of a matrix (length, depth) whose rows are their depth, a few rows at a time, as they lie in memory.
    template <class Number> void pack_panels(const Number* from, int64_t length, Range some, Operand* panels) const {
        for (int64_t row = 0; row < length; row += LINES_AT_ONCE)
            for (int64_t panel = some.first; panel < some.last; ++panel)
                pack(from + row * c.depth + panel * LANE, 1, c.depth, std::min(LANE, c.depth - panel * LANE), LANE,
                     std::min(LINES_AT_ONCE, length - row),
                     panels + (panel - some.first) * size(LANE, length) + row * LANE);
    }

    // Add the products of `n` packed rows with `some` panels to rows of a gradient, or write them.
    void multiply_panels(int n, const Operand* tile, const Operand* panels, Range some, int64_t length, bool add,
                         Real* out) const {
        alignas(64) Sums<Real> sums;
        for (int64_t panel = some.first; panel < some.last; panel += 2, panels += 2 * size(LANE, length)) {
            const int n_few = int(std::min<int64_t>(2, some.last - panel));
            const int64_t first = panel * LANE, last = std::min(first + n_few * LANE, c.depth);
            multiply_few<Operand, Real, true>(n, n_few, tile, 0, panels, size(LANE, length), length, sums);
            for (int row = 0; row < n; ++row) {
                Real* const to = out + row * c.depth + first;
INDEPENDENT
                for (int64_t j = 0; j < last - first; ++j) to[j] = add ? to[j] + sums[row][j] : sums[row][j];
            }
        }
    }

  public:
    LossOfBlock(const CrossEntropy& all, const Place& of_thread, Range some, Queues& of_block)
        : c(all), place(of_thread), rows(some), queues(of_block) {}

    void write_logits() const {
        const Room<Operand> tiles = room_for<Operand>(size(n_rows, c.depth));
        const Room<Operand> panels = room_for<Operand>(size(2 * LANE, c.depth));
        for (int64_t tile = 0; tile < n_tiles; ++tile) {
            const Range some = share(n_rows, tile, n_tiles);
            const int64_t n = some.last - some.first;
            pack(x + some.first * c.depth, c.depth, 1, n, n, c.depth, tiles.get() + size(some.first, c.depth));
        }
        alignas(64) Sums<Real> sums;
        queues.logits.take(parts(c.n_columns, 2 * LANE), place, [&](int64_t pair) {
            const int64_t column = pair * 2 * LANE, n = std::min(2 * LANE, c.n_columns - column);
            for (int64_t unit = 0; unit < n; unit += LANE)
                pack(weight + (column + unit) * c.depth, c.depth, 1, std::min(LANE, n - unit), LANE, c.depth,
                     panels.get() + size(unit, c.depth));
            for (int64_t tile = 0; tile < n_tiles; ++tile) {
                const Range some = share(n_rows, tile, n_tiles);
                multiply_few<Operand, Real, true>(int(some.last - some.first), int(parts(n, LANE)),
                                                  tiles.get() + size(some.first, c.depth), 0, panels.get(),
                                                  size(LANE, c.depth), c.depth, sums);
                for (int64_t row = some.first; row < some.last; ++row)
INDEPENDENT
                    for (int64_t j = 0; j < n; ++j)
                        logits[row * c.stride + column + j] = narrow<Operand>(sums[row - some.first][j]);
            }
        });
    }

    void apply_softmax() const {
        const Room<Real> values = room_for<Real>(c.n_columns);
        queues.rows.take(n_rows, place, [&](int64_t row) {
            static_cast<Real*>(c.nats)[rows.first + row] =
                softmax(c, rows.first + row, logits + row * c.stride, values.get());
        });
    }

    // All threads' panels of X.
    void pack_rows(Operand* x_panels) const {
        const Range mine = place.share_of(n_panels);
        pack_panels(x, n_rows, mine, x_panels + mine.first * size(LANE, n_rows));
    }

    void add_to_rows() const {
        const Range mine = place.share_of(n_panels);
        const Room<Operand> tile = room_for<Operand>(size(MAX_ROWS, COLUMNS_AT_ONCE));
        const Room<Operand> panels = room_for<Operand>((mine.last - mine.first) * size(LANE, COLUMNS_AT_ONCE));
        for (int64_t column = 0; column < c.n_columns; column += COLUMNS_AT_ONCE) {
            const int64_t length = std::min(COLUMNS_AT_ONCE, c.n_columns - column);
            pack_panels(weight + column * c.depth, length, mine, panels.get());
            for (int64_t index = 0; index < n_tiles; ++index) {
                const Range some = share(n_rows, index, n_tiles);
                const int n = int(some.last - some.first);
                pack(logits + some.first * c.stride + column, c.stride, 1, n, n, length, tile.get());
                multiply_panels(n, tile.get(), panels.get(), mine, length, true,
                                static_cast<Real*>(c.grad_rows) + (rows.first + some.first) * c.depth);
            }
        }
    }

    void add_to_weight(const Operand* x_panels) const {
        const Room<Operand> tile = room_for<Operand>(size(MAX_ROWS, n_rows));
        queues.tiles.take(parts(c.n_columns, MAX_ROWS), place, [&](int64_t index) {
            const int64_t column = index * MAX_ROWS;
            const int n = int(std::min<int64_t>(MAX_ROWS, c.n_columns - column));
            Real total[MAX_ROWS] = {};
            for (int64_t row = 0; row < n_rows && c.grad_bias; ++row)
                for (int j = 0; j < n; ++j) total[j] += widen(logits[row * c.stride + column + j]);
            for (int j = 0; j < n && c.grad_bias; ++j) static_cast<Real*>(c.grad_bias)[column + j] += total[j];
            if (!c.grad_weight) return;
            pack(logits + column, 1, c.stride, n, n, n_rows, tile.get());
            multiply_panels(n, tile.get(), x_panels, {0, n_panels}, n_rows, rows.first > 0,
                            static_cast<Real*>(c.grad_weight) + column * c.depth);
        });
    }
};

template <class Operand, class Real> void cross_entropy(const CrossEntropy& c) {
    const int64_t room = c.grad_weight ? (c.rows_at_once + 1) * (c.depth + LANES<Real>) : 0;
    const Room<Operand> x_panels = room_for<Operand>(room);
    const auto queues = std::make_unique<Queues[]>(parts(c.n_rows, c.rows_at_once));
    in_parallel(c.n_threads, c.n_columns, [&](const Place& place) {
        for (int64_t first = 0; first < c.n_rows; first += c.rows_at_once) {
            const LossOfBlock<Operand, Real> block(c, place, {first, std::min(first + c.rows_at_once, c.n_rows)},
                                                   queues[first / c.rows_at_once]);
            if (c.rows) block.write_logits();
            if (c.grad_weight) block.pack_rows(x_panels.get());
            wait();
            block.apply_softmax();
            wait();
            if (c.grad_rows) block.add_to_rows();
            if (c.grad_weight || c.grad_bias) block.add_to_weight(x_panels.get());
            wait();
        }
    });
}

}  // namespace lstmlm

#define CROSS_ENTROPY(NAME, ...) \
    extern "C" void cross_entropy_##NAME(const lstmlm::CrossEntropy* c) { lstmlm::cross_entropy<__VA_ARGS__>(*c); }
CROSS_ENTROPY(float32, float, float)
CROSS_ENTROPY(float64, double, double)
#ifdef __AVX512BF16__
CROSS_ENTROPY(bfloat16, lstmlm::bfloat16, float)
#endif
