// The loops over time of models/kernels/window.py, for any cell of cells.h.
//
// Per step, for a few columns and a few units at a time: the product of the last hidden state with the recurrent matrix,
// then the cell's equations on the result while it is still in the cache. The matrix is laid out for that once a window.
// What a column yields depends neither on the other columns nor on the number of threads.

#include <algorithm>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "cells.h"

namespace lstmlm {

// What `Window` in models/kernels/native/__init__.py fills in. Shapes are (·, rows, ·), rows being columns of the batch.
struct Window {
    int64_t n_steps, n_rows, n_units, n_threads;
    int64_t keep;              // whether every step's activations are kept, for a backward pass
    const void* weight;        // (gates units, units) Real: W_h
    void* packed;              // room for the matrix as products take it, Operand
    const void* mask;          // (rows, units) Real: state dropout; may be null
    const void* recurrent_bias;  // (gates units) Real: added to W_h h; may be null
    const void* projected;     // (steps, rows, gates units) Operand: W_x x_t
    const void* bias;          // (gates units) Real: added to it
    void* hiddens;             // (steps + 1, rows, units) Real, the first of them given
    void* operands;            // the same, masked, Operand; may be `hiddens` itself
    void* memories;            // (steps + 1, rows, units) Real, the first of them given; null without memory
    void* kept;                // (steps or 1, rows, kept units) Real
    const void* grad_outputs;  // (steps, rows, units) Real
    void* grad_projected;      // (steps, rows, gates units) Operand
    void* grad_recurrent;      // the same for W_h h; may be `grad_projected` itself
    void* carry;               // (rows, units) Real: given for the last step, left for the first
    void* grad_hidden;         // (rows, units) Real: the gradient of the first hidden state through W_h
};

struct Range {
    int64_t first, last;
};

// The part of `n` things that falls to `place` among `n_places`.
inline Range share(int64_t n, int64_t place, int64_t n_places) {
    return {n * place / n_places, n * (place + 1) / n_places};
}

// A thread's place: which rows it works on, and which units.
struct Place {
    int64_t row_group, n_row_groups, unit_group, n_unit_groups;
};

template <class Cell, class Operand, class Real> class Loop {
    static constexpr int LANE = LANES<Real>, STEP = DEPTH<Operand>, GATES = Cell::GATES, KEPT = Cell::KEPT;
    static constexpr int64_t TILE = 2 * LANE;
    using Sums = Real[MAX_ROWS][TILE];

    const Window& w;
    const Place place;
    const int64_t n_units = w.n_units, n_panels = (w.n_units + LANE - 1) / LANE;
    const Range rows = share(w.n_rows, place.row_group, place.n_row_groups);
    const Range panels = share(n_panels, place.unit_group, place.n_unit_groups);
    Operand* const packed = static_cast<Operand*>(w.packed);

  public:
    Loop(const Window& window, Place where) : w(window), place(where) {}

    void forward() {
        const int64_t panel_size = padded(n_units) * LANE, matrix_size = n_panels * panel_size;
        for (int gate = 0; gate < GATES; ++gate)
            pack(packed + gate * matrix_size, weight() + gate * n_units * n_units, n_units, 1, n_units);
        wait(true);
        alignas(64) Sums recurrent[GATES];
        for (int64_t t = 0; t < w.n_steps; ++t) {
            for_each_tile([&](int64_t row, int n_rows, int64_t panel, int n_wide, int64_t unit, int n) {
                for (int gate = 0; gate < GATES; ++gate)
                    multiply_few<Operand, Real>(n_rows, n_wide, operand(t, row), n_units,
                                                packed + gate * matrix_size + panel * panel_size, panel_size, n_units,
                                                recurrent[gate][0]);
                for (int r = 0; r < n_rows; ++r) {
                    if (w.recurrent_bias) add_bias(unit, n, recurrent, r);
                    forward_row(t, row + r, unit, n, recurrent, r);
                }
            });
            wait(place.n_unit_groups > 1);
        }
    }

    void backward() {
        const int64_t depth = GATES * n_units, panel_size = padded(depth) * LANE;
        pack(packed, weight(), 1, n_units, depth);
        wait(true);
        alignas(64) Sums grad = {};
        for (int64_t t = w.n_steps - 1; t >= -1; --t) {
            for_each_tile([&](int64_t row, int n_rows, int64_t panel, int n_wide, int64_t unit, int n) {
                if (t + 1 < w.n_steps)
                    multiply_few<Operand, Real>(n_rows, n_wide, grad_recurrent(t + 1, row), depth,
                                                packed + panel * panel_size, panel_size, depth, grad[0]);
                for (int r = 0; r < n_rows; ++r) {
                    if (w.mask) apply_mask(row + r, unit, n, grad[r]);
                    if (t >= 0)
                        backward_row(t, row + r, unit, n, grad[r]);
                    else
                        std::copy(grad[r], grad[r] + n, static_cast<Real*>(w.grad_hidden) + (row + r) * n_units + unit);
                }
            });
            wait(place.n_unit_groups > 1);
        }
    }

  private:
    static int64_t padded(int64_t depth) { return (depth + STEP - 1) / STEP * STEP; }

    const Real* weight() const { return static_cast<const Real*>(w.weight); }
    Operand* operand(int64_t t, int64_t row) const {
        return static_cast<Operand*>(w.operands) + (t * w.n_rows + row) * n_units;
    }
    Operand* grad_recurrent(int64_t t, int64_t row) const {
        return static_cast<Operand*>(w.grad_recurrent) + (t * w.n_rows + row) * GATES * n_units;
    }

    static void wait(bool needed) {
        if (needed) {
#pragma omp barrier
        }
    }

    // Write this thread's share of the matrix from[out * out_stride + k * k_stride], (units, depth), into panels.
    void pack(Operand* to, const Real* from, int64_t out_stride, int64_t k_stride, int64_t depth) {
        const int64_t n_places = place.n_row_groups * place.n_unit_groups;
        const Range mine = share(n_panels, place.row_group * place.n_unit_groups + place.unit_group, n_places);
        for (int64_t panel = mine.first; panel < mine.last; ++panel) {
            const int64_t first = panel * LANE, n = std::min<int64_t>(LANE, n_units - first);
            Operand* const block = to + panel * padded(depth) * LANE;
            if (n < LANE || padded(depth) > depth) std::fill(block, block + padded(depth) * LANE, Operand{});
            const int64_t n_whole = depth / STEP * STEP;
            for (int64_t k = 0; k < n_whole; k += STEP)
                for (int64_t lane = 0; lane < n; ++lane)
                    for (int d = 0; d < STEP; ++d)
                        block[k * LANE + lane * STEP + d] =
                            narrow<Operand>(from[(first + lane) * out_stride + (k + d) * k_stride]);
            for (int64_t k = n_whole; k < depth; ++k)
                for (int64_t lane = 0; lane < n; ++lane)
                    block[n_whole * LANE + lane * STEP] = narrow<Operand>(from[(first + lane) * out_stride + k * k_stride]);
        }
    }

    // Call `work` for tiles of a few rows and at most two panels, all rows of a panel before the next panel.
    template <class Work> void for_each_tile(Work work) const {
        const int64_t n_rows = rows.last - rows.first, n_blocks = (n_rows + MAX_ROWS - 1) / MAX_ROWS;
        for (int64_t panel = panels.first; panel < panels.last; panel += 2) {
            const int64_t n_wide = std::min<int64_t>(2, panels.last - panel), unit = panel * LANE;
            for (int64_t block = 0; block < n_blocks; ++block) {
                const Range some = share(n_rows, block, n_blocks);
                work(rows.first + some.first, int(some.last - some.first), panel, int(n_wide), unit,
                     int(std::min<int64_t>(n_wide * LANE, n_units - unit)));
            }
        }
    }

    void add_bias(int64_t unit, int n, Sums* recurrent, int r) const {
        const Real* bias = static_cast<const Real*>(w.recurrent_bias) + unit;
        for (int gate = 0; gate < GATES; ++gate)
            for (int j = 0; j < n; ++j) recurrent[gate][r][j] += bias[gate * n_units + j];
    }

    void forward_row(int64_t t, int64_t row, int64_t unit, int n, const Sums* recurrent, int r) const {
        const int64_t before = (t * w.n_rows + row) * n_units + unit, after = before + w.n_rows * n_units;
        const Operand* __restrict projected =
            static_cast<const Operand*>(w.projected) + (t * w.n_rows + row) * GATES * n_units + unit;
        const Real* __restrict bias = static_cast<const Real*>(w.bias) + unit;
        Real* __restrict hiddens = static_cast<Real*>(w.hiddens);
        Real* __restrict memories = static_cast<Real*>(w.memories);
        Real* __restrict kept = static_cast<Real*>(w.kept) + ((w.keep ? t : 0) * w.n_rows + row) * KEPT * n_units + unit;
#pragma GCC ivdep
        for (int j = 0; j < n; ++j) {
            std::array<Real, GATES> x, h;
            std::array<Real, KEPT> values;
            for (int gate = 0; gate < GATES; ++gate) {
                x[gate] = widen(projected[gate * n_units + j]) + bias[gate * n_units + j];
                h[gate] = recurrent[gate][r][j];
            }
            Real memory = 0;
            if constexpr (Cell::MEMORY) memory = memories[before + j];
            hiddens[after + j] = Cell::forward(x, h, hiddens[before + j], memory, values);
            if constexpr (Cell::MEMORY) memories[after + j] = memory;
            for (int i = 0; i < KEPT; ++i) kept[i * n_units + j] = values[i];
        }
        if (w.operands == w.hiddens) return;
        Operand* __restrict operands = static_cast<Operand*>(w.operands) + after;
        const Real* __restrict mask = static_cast<const Real*>(w.mask) + row * n_units + unit;
        for (int j = 0; j < n; ++j)
            operands[j] = narrow<Operand>(w.mask ? hiddens[after + j] * mask[j] : hiddens[after + j]);
    }

    void apply_mask(int64_t row, int64_t unit, int n, Real* grad) const {
        const Real* mask = static_cast<const Real*>(w.mask) + row * n_units + unit;
        for (int j = 0; j < n; ++j) grad[j] *= mask[j];
    }

    void backward_row(int64_t t, int64_t row, int64_t unit, int n, const Real* __restrict through_weight) const {
        const int64_t before = (t * w.n_rows + row) * n_units + unit, after = before + w.n_rows * n_units;
        const int64_t gates = (t * w.n_rows + row) * GATES * n_units + unit;
        const Real* __restrict hiddens = static_cast<const Real*>(w.hiddens);
        const Real* __restrict memories = static_cast<const Real*>(w.memories);
        const Real* __restrict kept = static_cast<const Real*>(w.kept) + (t * w.n_rows + row) * KEPT * n_units + unit;
        const Real* __restrict grad_outputs = static_cast<const Real*>(w.grad_outputs) + before;
        Real* __restrict carry = static_cast<Real*>(w.carry) + row * n_units + unit;
        Operand* grad_x = static_cast<Operand*>(w.grad_projected) + gates;
        Operand* grad_h = static_cast<Operand*>(w.grad_recurrent) + gates;
        const bool same = w.grad_projected == w.grad_recurrent;
#pragma GCC ivdep
        for (int j = 0; j < n; ++j) {
            std::array<Real, GATES> dx, dh;
            std::array<Real, KEPT> values;
            for (int i = 0; i < KEPT; ++i) values[i] = kept[i * n_units + j];
            Real memory_before = 0, memory = 0;
            if constexpr (Cell::MEMORY) memory_before = memories[before + j], memory = memories[after + j];
            Real carried = carry[j];
            Cell::backward(grad_outputs[j] + through_weight[j], carried, hiddens[before + j], hiddens[after + j],
                           memory_before, memory, values, dx, dh);
            carry[j] = carried;
            for (int gate = 0; gate < GATES; ++gate) grad_x[gate * n_units + j] = narrow<Operand>(dx[gate]);
            if (!same)
                for (int gate = 0; gate < GATES; ++gate) grad_h[gate * n_units + j] = narrow<Operand>(dh[gate]);
        }
    }
};

// Threads share the rows as long as each gets a few of them and then need not wait for each other; the more threads
// there are beyond that, the finer the units are shared, and all wait for each other at every step.
template <class Work> void in_parallel(const Window& w, Work work) {
#ifdef _OPENMP
    constexpr int64_t FEW_ROWS = 4;
    int64_t n_row_groups = w.n_threads;
    while (n_row_groups > 1 && (w.n_threads % n_row_groups || w.n_rows < FEW_ROWS * n_row_groups)) --n_row_groups;
    const int64_t n_unit_groups = w.n_threads / n_row_groups;
#pragma omp parallel num_threads(int(w.n_threads))
    {
        const int64_t thread = omp_get_thread_num();
        work(Place{thread / n_unit_groups, n_row_groups, thread % n_unit_groups, n_unit_groups});
    }
#else
    work(Place{0, 1, 0, 1});
#endif
}

}  // namespace lstmlm

#define WINDOW(NAME, CELL, OPERAND, REAL)                                                                      \
    extern "C" void NAME##_forward(const lstmlm::Window* w) {                                                  \
        lstmlm::in_parallel(*w, [&](auto place) { lstmlm::Loop<CELL, OPERAND, REAL>(*w, place).forward(); });  \
    }                                                                                                          \
    extern "C" void NAME##_backward(const lstmlm::Window* w) {                                                 \
        lstmlm::in_parallel(*w, [&](auto place) { lstmlm::Loop<CELL, OPERAND, REAL>(*w, place).backward(); }); \
    }
#ifdef __AVX512BF16__
#define WINDOWS(NAME, CELL)                                     \
    WINDOW(NAME##_float32, CELL, float, float)                  \
    WINDOW(NAME##_float64, CELL, double, double)                \
    WINDOW(NAME##_bfloat16, CELL, lstmlm::bfloat16, float)
#else
#define WINDOWS(NAME, CELL)                    \
    WINDOW(NAME##_float32, CELL, float, float) \
    WINDOW(NAME##_float64, CELL, double, double)
#endif

WINDOWS(lstm, lstmlm::LSTM<false>)
WINDOWS(lstm_capped, lstmlm::LSTM<true>)
WINDOWS(gru, lstmlm::GRU)
WINDOWS(rnn_tanh, lstmlm::TanhRNN)
WINDOWS(rnn_relu, lstmlm::ReluRNN)
