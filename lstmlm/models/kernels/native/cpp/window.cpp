// The loops over time of models/kernels/window.py, for any cell of cells.h.
//
// Per step, for a few columns and a few units at a time: the product of the last hidden state with the recurrent matrix,
// then the cell's equations on the result while it is still in the cache. The matrix is laid out for that once a window.
// What a column yields depends neither on the other columns nor on the number of threads. Where `inputs` are given, the
// products over all steps are computed in the same region of threads, before and after the loop.

#include <vector>

#include "cells.h"
#include "matrix.h"
#include "multiplication.h"

namespace lstmlm {

// What `Window` in models/kernels/native/__init__.py fills in. Shapes are (·, rows, ·), rows being columns of the batch.
struct Window {
    int64_t n_steps, n_rows, n_inputs, n_units, n_threads;
    int64_t keep;              // whether every step's activations are kept, for a backward pass
    const void* inputs;        // (steps, rows, inputs) Real; may be null, as the gradients down to the bias's
    const void* weight_ih;     // (gates units, inputs) Real: W_x
    const void* weight;        // (gates units, units) Real: W_h
    const void* mask;          // (rows, units) Real: state dropout; may be null
    const void* recurrent_bias;  // (gates units) Real: added to W_h h; may be null
    void* projected;           // (steps, rows, gates units) Real: W_x x_t, given where `inputs` are not
    const void* bias;          // (gates units) Real: added to it
    void* hiddens;             // (steps + 1, rows, units) Real, the first of them given
    void* operands;            // the same, masked, Operand; may be `hiddens` itself
    void* memories;            // (steps + 1, rows, units) Real, the first of them given; null without memory
    void* kept;                // (steps or 1, rows, kept units) Real; may be `projected` itself
    const void* grad_outputs;  // (steps, rows, units) Real
    void* grad_projected;      // (steps, rows, gates units) Operand; may be `kept` itself
    void* grad_recurrent;      // the same for W_h h; may be `grad_projected` itself
    void* carry;               // (rows, units) Real: given for the last step, left for the first
    void* grad_hidden;         // (rows, units) Real: the gradient of the first hidden state through W_h
    void* grad_inputs;         // (steps, rows, inputs) Real; may be null, as the next two
    void* grad_weight_ih;      // (gates units, inputs) Real
    void* grad_weight;         // (gates units, units) Real
    void* grad_bias;           // (gates units) Real
};

template <class Cell, class Operand, class Real> class Loop {
    static constexpr int GATES = Cell::GATES, KEPT = Cell::KEPT;
    using Weights = std::vector<Matrix<Operand, Real>>;

    const Window& w;
    const Place place;
    const int64_t n_units = w.n_units;
    const Range rows = share(w.n_rows, place.row_group, place.n_row_groups);

  public:
    Loop(const Window& window, Place where) : w(window), place(where) {}

    // W_h for the forward pass, a matrix a gate, so that a tile has all gates of its units.
    static Weights by_gate(const Window& w) {
        Weights weights;
        for (int gate = 0; gate < GATES; ++gate)
            weights.emplace_back(weight(w) + gate * w.n_units * w.n_units, w.n_units, w.n_units, w.n_units, 1);
        return weights;
    }

    // W_h transposed, for the backward pass.
    static Weights transposed(const Window& w) {
        Weights weights;
        weights.emplace_back(weight(w), w.n_units, GATES * w.n_units, 1, w.n_units);
        return weights;
    }

    void forward(Weights& weights) {
        for (auto& matrix : weights) matrix.pack(place);
        wait();
        alignas(64) Sums<Real> recurrent[GATES];
        for (int64_t t = 0; t < w.n_steps; ++t) {
            for_each_tile<Real>(rows, panels(weights[0]), n_units, [&](const Tile& tile) {
                for (int gate = 0; gate < GATES; ++gate)
                    weights[gate].multiply(tile, operand(t, tile.row), n_units, recurrent[gate]);
                for (int r = 0; r < tile.n_rows; ++r) {
                    if (w.recurrent_bias) add_bias(tile.unit, tile.n_units, recurrent, r);
                    forward_row(t, tile.row + r, tile.unit, tile.n_units, recurrent, r);
                }
            });
            wait(place.n_unit_groups > 1);
        }
    }

    void backward(Weights& weights) {
        auto& matrix = weights[0];
        matrix.pack(place);
        wait();
        alignas(64) Sums<Real> grad = {};
        for (int64_t t = w.n_steps - 1; t >= -1; --t) {
            for_each_tile<Real>(rows, panels(matrix), n_units, [&](const Tile& tile) {
                if (t + 1 < w.n_steps)
                    matrix.multiply(tile, grad_recurrent(t + 1, tile.row), GATES * n_units, grad);
                for (int r = 0; r < tile.n_rows; ++r) {
                    const int64_t row = tile.row + r, unit = tile.unit, n = tile.n_units;
                    if (w.mask) apply_mask(row, unit, n, grad[r]);
                    if (t >= 0)
                        backward_row(t, row, unit, n, grad[r]);
                    else
                        std::copy(grad[r], grad[r] + n, static_cast<Real*>(w.grad_hidden) + row * n_units + unit);
                }
            });
            wait(place.n_unit_groups > 1);
        }
    }

  private:
    static const Real* weight(const Window& w) { return static_cast<const Real*>(w.weight); }
    Range panels(const Matrix<Operand, Real>& matrix) const {
        return share(matrix.n_panels, place.unit_group, place.n_unit_groups);
    }
    Operand* operand(int64_t t, int64_t row) const {
        return static_cast<Operand*>(w.operands) + (t * w.n_rows + row) * n_units;
    }
    Operand* grad_recurrent(int64_t t, int64_t row) const {
        return static_cast<Operand*>(w.grad_recurrent) + (t * w.n_rows + row) * GATES * n_units;
    }

    void add_bias(int64_t unit, int n, Sums<Real>* recurrent, int r) const {
        const Real* bias = static_cast<const Real*>(w.recurrent_bias) + unit;
        for (int gate = 0; gate < GATES; ++gate)
            for (int j = 0; j < n; ++j) recurrent[gate][r][j] += bias[gate * n_units + j];
    }

    void forward_row(int64_t t, int64_t row, int64_t unit, int n, const Sums<Real>* recurrent, int r) const {
        const int64_t before = (t * w.n_rows + row) * n_units + unit, after = before + w.n_rows * n_units;
        const Real* projected =  // which may be what is kept
            static_cast<const Real*>(w.projected) + (t * w.n_rows + row) * GATES * n_units + unit;
        const Real* __restrict bias = static_cast<const Real*>(w.bias) + unit;
        Real* __restrict hiddens = static_cast<Real*>(w.hiddens);
        Real* __restrict memories = static_cast<Real*>(w.memories);
        Real* kept = static_cast<Real*>(w.kept) + ((w.keep ? t : 0) * w.n_rows + row) * KEPT * n_units + unit;
INDEPENDENT
        for (int j = 0; j < n; ++j) {
            std::array<Real, GATES> x, h;
            std::array<Real, KEPT> values;
            for (int gate = 0; gate < GATES; ++gate) {
                x[gate] = projected[gate * n_units + j] + bias[gate * n_units + j];
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
        const Real* kept = static_cast<const Real*>(w.kept) + (t * w.n_rows + row) * KEPT * n_units + unit;
        const Real* __restrict grad_outputs = static_cast<const Real*>(w.grad_outputs) + before;
        Real* __restrict carry = static_cast<Real*>(w.carry) + row * n_units + unit;
        Operand* grad_x = static_cast<Operand*>(w.grad_projected) + gates;
        Operand* grad_h = static_cast<Operand*>(w.grad_recurrent) + gates;
        const bool same = w.grad_projected == w.grad_recurrent;
INDEPENDENT
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

// The sums over all `n` rows, for this thread's share of the columns, in the same order whatever the share.
template <class Operand, class Real>
void total(const Operand* rows, int64_t n, int64_t n_columns, const Place& place, Real* out) {
    const Range lines = place.share_of(parts(n_columns, LANES<Real>));
    const int64_t first = lines.first * LANES<Real>, last = std::min(lines.last * LANES<Real>, n_columns);
    std::fill(out + first, out + std::max(first, last), Real(0));
    for (int64_t row = 0; row < n; ++row)
INDEPENDENT
        for (int64_t j = first; j < last; ++j) out[j] += widen(rows[row * n_columns + j]);
}

template <class Cell, class Operand, class Real> void run_forward(const Window& w) {
    const int64_t n_gates = Cell::GATES * w.n_units;
    const Multiplication<Operand, Real, Real, Real, Real> projection({
        w.inputs ? w.n_steps * w.n_rows : 0, n_gates, w.n_inputs, 0, w.n_inputs, 1, 1, w.n_inputs, n_gates, false, w.inputs,
        w.weight_ih, w.projected});
    using Steps = Loop<Cell, Operand, Real>;
    auto weights = Steps::by_gate(w);
    in_parallel(w.n_threads, w.n_rows, [&](const Place& place) {
        if (w.inputs) projection.run(place);
        Steps(w, place).forward(weights);
    });
}

template <class Cell, class Operand, class Real> void run_backward(const Window& w) {
    const int64_t n_gates = Cell::GATES * w.n_units, n = w.n_steps * w.n_rows;
    const auto by_gates = [&](const void* gradients, int64_t width, const void* right, void* out) {
        return Product{out ? n_gates : 0, width, n, 0, 1, n_gates, width, 1, width, false, gradients, right, out};
    };
    const Multiplication<Operand, Real, Operand, Real, Real>
        inputs({w.grad_inputs ? n : 0, w.n_inputs, n_gates, 0, n_gates, 1, w.n_inputs, 1, w.n_inputs, false,
                w.grad_projected, w.weight_ih, w.grad_inputs}),
        weight_ih(by_gates(w.grad_projected, w.n_inputs, w.inputs, w.grad_weight_ih));
    const Multiplication<Operand, Real, Operand, Operand, Real> weight_hh(
        by_gates(w.grad_recurrent, w.n_units, w.operands, w.grad_weight));
    using Steps = Loop<Cell, Operand, Real>;
    auto weights = Steps::transposed(w);
    in_parallel(w.n_threads, w.n_rows, [&](const Place& place) {
        Steps(w, place).backward(weights);
        wait();
        if (w.grad_bias)
            total(static_cast<const Operand*>(w.grad_projected), n, n_gates, place, static_cast<Real*>(w.grad_bias));
        if (w.grad_inputs) inputs.run(place);
        if (w.grad_weight_ih) weight_ih.run(place);
        if (w.grad_weight) weight_hh.run(place);
    });
}

template <class Cell, class Operand, class Real> void run(const Window& w, bool is_backward) {
    is_backward ? run_backward<Cell, Operand, Real>(w) : run_forward<Cell, Operand, Real>(w);
}

}  // namespace lstmlm

WINDOWS(lstm, Window, lstmlm::FreeLSTM)
WINDOWS(lstm_capped, Window, lstmlm::CappedLSTM)
WINDOWS(lstm_coupled, Window, lstmlm::CoupledLSTM)
WINDOWS(gru, Window, lstmlm::GRU)
WINDOWS(rnn_tanh, Window, lstmlm::TanhRNN)
WINDOWS(rnn_relu, Window, lstmlm::ReluRNN)
