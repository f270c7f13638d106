// The loops over time of the LSTM with layer normalisation; models/kernels/layer_norm_lstm.py has the equations.
//
// A mean is one over all units, so that a thread has all units of its rows: first the product, then each row at once.

#include <vector>

#include "cells.h"
#include "matrix.h"

namespace lstmlm {

// What `LayerNormLSTM` in models/kernels/native/__init__.py fills in. Gates are three or four times the units.
struct LayerNormLSTM {
    int64_t n_steps, n_rows, n_units, n_threads;
    int64_t keep;              // whether every step's values are kept, for a backward pass
    double epsilon;            // added to variances
    const void* weight;        // (gates, units) Real: W_h
    const void* bias;          // (gates) Real
    const void* gain_ih;       // (gates) Real
    const void* gain_hh;       // (gates) Real
    const void* gain_cell;     // (units) Real
    const void* bias_cell;     // (units) Real
    const void* mask;          // (rows, units) Real: state dropout; may be null
    const void* projected;     // (steps, rows, gates) Operand: W_x x_t
    void* hiddens;             // (steps + 1, rows, units) Real, the first of them given
    void* operands;            // the same, masked, Operand; may be `hiddens` itself
    void* memories;            // (steps + 1, rows, units) Real, the first of them given
    void* kept;                // (steps or 1, rows, gates) Real: the activated gates
    void* normalized;          // (steps or 1, rows, gates) Real: W_h h, normalised
    void* statistics;          // (steps or 1, rows, 3, 2) Real: mean and 1 / deviation of W_x x, W_h h and c
    const void* grad_outputs;  // (steps, rows, units) Real
    void* grad_projected;      // (steps, rows, gates) Operand
    void* grad_recurrent;      // (steps, rows, gates) Operand: by W_h h
    void* grad_vectors;        // (threads, 3 gates + 2 units) Real: zeros, then each thread's part of the gradients of
                               // bias, gain_ih, gain_hh, gain_cell and bias_cell
    void* carry;               // (rows, units) Real: by c_t, given for the last step, left for the first
    void* grad_hidden;         // (rows, units) Real: zeros, then by h_t; left for the first hidden state
};

template <class Real> struct Statistics {
    Real mean, scale;  // 1 / deviation

    Real normalize(Real value) const { return (value - mean) * scale; }
};

template <class Real> Statistics<Real> statistics_of(const Real* values, int64_t n, double epsilon) {
    Real total = 0, squares = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < n; ++j) total += values[j];
    const Real mean = total / Real(n);
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < n; ++j) squares += (values[j] - mean) * (values[j] - mean);
    return {mean, 1 / std::sqrt(squares / Real(n) + Real(epsilon))};
}

// store(j, d) of the derivatives by the values, given those by gain times the normalised values, which normal(j) gives;
// the derivatives by the gain are added up.
template <class Real, class Normal, class Store>
void normalize_back(const Real* __restrict grad, const Real* __restrict gain, Normal normal, Real scale, int64_t n,
                    Real* __restrict grad_gain, Store store) {
    Real total = 0, product = 0;
#pragma omp simd reduction(+ : total, product)
    for (int64_t j = 0; j < n; ++j) {
        const Real of_gain = grad[j] * normal(j);
        grad_gain[j] += of_gain;
        total += grad[j] * gain[j];
        product += of_gain * gain[j];
    }
    const Real mean = total / Real(n), mean_product = product / Real(n);
INDEPENDENT
    for (int64_t j = 0; j < n; ++j) store(j, scale * (grad[j] * gain[j] - mean - normal(j) * mean_product));
}

// One thread's part of a window.
template <class Cell, class Operand, class Real> class LayerNormLoop {
    const LayerNormLSTM& w;
    const Matrix<Operand, Real>& weight;
    const Range rows;
    static constexpr int GATES = Cell::GATES;
    const int64_t n_units = w.n_units, n_gates = GATES * w.n_units;
    const Real* const bias = static_cast<const Real*>(w.bias);
    const Real* const gain_ih = static_cast<const Real*>(w.gain_ih);
    const Real* const gain_hh = static_cast<const Real*>(w.gain_hh);
    const Real* const gain_cell = static_cast<const Real*>(w.gain_cell);
    const Real* const bias_cell = static_cast<const Real*>(w.bias_cell);
    Real* const grad_bias;
    // Room for one row.
    std::vector<Real> of_input, by_gates, by_cell, by_o;

  public:
    LayerNormLoop(const LayerNormLSTM& window, const Matrix<Operand, Real>& packed, const Place& place)
        : w(window), weight(packed), rows(share(w.n_rows, place.row_group, place.n_row_groups)),
          grad_bias(static_cast<Real*>(w.grad_vectors) + place.row_group * (3 * n_gates + 2 * n_units)),
          of_input(n_gates), by_gates(n_gates), by_cell(n_units), by_o(n_units) {}

    void forward() {
        for (int64_t t = 0; t < w.n_steps; ++t) {
            weight.multiply_all(rows, static_cast<const Operand*>(w.operands) + t * w.n_rows * n_units, n_units,
                                [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                                    std::copy(sums, sums + n, normalized(t, row) + unit);
                                });
            for (int64_t row = rows.first; row < rows.last; ++row) {
                remember(t, row);
                put_out(t, row);
            }
        }
    }

    void backward() {
        for (int64_t t = w.n_steps - 1; t >= 0; --t) {
            for (int64_t row = rows.first; row < rows.last; ++row) {
                put_out_back(t, row);
                remember_back(t, row);
                sums_back(t, row);
            }
            const Operand* const grad_recurrent =
                static_cast<const Operand*>(w.grad_recurrent) + t * w.n_rows * n_gates;
            weight.multiply_all(rows, grad_recurrent, n_gates,
                                [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                                    std::copy(sums, sums + n, row_of(w.grad_hidden, row) + unit);
                                });
            if (w.mask)
                for (int64_t row = rows.first; row < rows.last; ++row) apply_mask(row);
        }
    }

  private:
    int64_t kept_at(int64_t t, int64_t row) const { return (w.keep ? t : 0) * w.n_rows + row; }
    Real* normalized(int64_t t, int64_t row) const {
        return static_cast<Real*>(w.normalized) + kept_at(t, row) * n_gates;
    }
    Real* kept(int64_t t, int64_t row) const { return static_cast<Real*>(w.kept) + kept_at(t, row) * n_gates; }
    Statistics<Real>* statistics(int64_t t, int64_t row) const {
        return static_cast<Statistics<Real>*>(w.statistics) + kept_at(t, row) * 3;
    }
    const Operand* projected(int64_t t, int64_t row) const {
        return static_cast<const Operand*>(w.projected) + (t * w.n_rows + row) * n_gates;
    }
    Real* row_of(void* tensor, int64_t row) const { return static_cast<Real*>(tensor) + row * n_units; }
    Real* row_of(void* tensor, int64_t t, int64_t row) const { return row_of(tensor, t * w.n_rows + row); }

    // The gates and c_t.
    void remember(int64_t t, int64_t row) {
        const Operand* __restrict input = projected(t, row);
        Real* __restrict from_x = of_input.data();
        Real* __restrict from_h = normalized(t, row);
        const Real* __restrict memory_before = row_of(w.memories, t, row);
        Real* __restrict memory_after = row_of(w.memories, t + 1, row);
        Real* __restrict gates = kept(t, row);
        for (int64_t k = 0; k < n_gates; ++k) from_x[k] = widen(input[k]);
        const auto of_x = statistics(t, row)[0] = statistics_of(from_x, n_gates, w.epsilon);
        const auto of_h = statistics(t, row)[1] = statistics_of(from_h, n_gates, w.epsilon);
INDEPENDENT
        for (int64_t k = 0; k < n_gates; ++k) {
            from_h[k] = of_h.normalize(from_h[k]);
            from_x[k] = of_x.normalize(from_x[k]) * gain_ih[k] + from_h[k] * gain_hh[k] + bias[k];
        }
INDEPENDENT
        for (int64_t j = 0; j < n_units; ++j) {
            std::array<Real, GATES> sums, values;
            for (int gate = 0; gate < GATES; ++gate) sums[gate] = from_x[gate * n_units + j];
            Real memory = memory_before[j];
            Cell::remember(sums, memory, values);
            memory_after[j] = memory;
            for (int gate = 0; gate < GATES; ++gate) gates[gate * n_units + j] = values[gate];
        }
    }

    // h_t, and what the next product takes.
    void put_out(int64_t t, int64_t row) {
        const Real* __restrict memory = row_of(w.memories, t + 1, row);
        const Real* __restrict o = kept(t, row) + Cell::O * n_units;
        Real* __restrict hidden = row_of(w.hiddens, t + 1, row);
        const auto of_c = statistics(t, row)[2] = statistics_of(memory, n_units, w.epsilon);
INDEPENDENT
        for (int64_t j = 0; j < n_units; ++j)
            hidden[j] = o[j] * hyperbolic_tangent(of_c.normalize(memory[j]) * gain_cell[j] + bias_cell[j]);
        if (w.operands == w.hiddens) return;
        Operand* __restrict operand = static_cast<Operand*>(w.operands) + ((t + 1) * w.n_rows + row) * n_units;
        const Real* __restrict mask = static_cast<const Real*>(w.mask) + row * n_units;
        for (int64_t j = 0; j < n_units; ++j) operand[j] = narrow<Operand>(w.mask ? hidden[j] * mask[j] : hidden[j]);
    }

    // From the derivative by h_t to those by c_t and o.
    void put_out_back(int64_t t, int64_t row) {
        const Real* __restrict memory = row_of(w.memories, t + 1, row);
        const Real* __restrict o = kept(t, row) + Cell::O * n_units;
        const Real* __restrict grad_output = static_cast<const Real*>(w.grad_outputs) + (t * w.n_rows + row) * n_units;
        const Real* __restrict grad_hidden = row_of(w.grad_hidden, row);
        Real* __restrict grad_gain = grad_bias + 3 * n_gates;
        Real* __restrict grad_bias_cell = grad_gain + n_units;
        Real* __restrict grad_cell = by_cell.data();
        Real* __restrict grad_o = by_o.data();
        const auto of_c = statistics(t, row)[2];
INDEPENDENT
        for (int64_t j = 0; j < n_units; ++j) {
            const Real tanh_cell = hyperbolic_tangent(of_c.normalize(memory[j]) * gain_cell[j] + bias_cell[j]);
            const Real grad = grad_output[j] + grad_hidden[j];
            grad_cell[j] = grad * o[j] * (1 - tanh_cell * tanh_cell);
            grad_bias_cell[j] += grad_cell[j];
            grad_o[j] = grad * tanh_cell;
        }
        Real* __restrict carry = row_of(w.carry, row);
        normalize_back(grad_cell, gain_cell, [=](int64_t j) { return of_c.normalize(memory[j]); }, of_c.scale, n_units,
                       grad_gain, [=](int64_t j, Real by) { carry[j] += by; });
    }

    // From those to the derivatives by the sums that gates are functions of, and by the memory before.
    void remember_back(int64_t t, int64_t row) {
        const Real* __restrict gates = kept(t, row);
        const Real* __restrict memory_before = row_of(w.memories, t, row);
        const Real* __restrict grad_o = by_o.data();
        Real* __restrict carry = row_of(w.carry, row);
        Real* __restrict grad_sums = by_gates.data();
INDEPENDENT
        for (int64_t j = 0; j < n_units; ++j) {
            std::array<Real, GATES> values;
            for (int gate = 0; gate < GATES; ++gate) values[gate] = gates[gate * n_units + j];
            Real carried = carry[j];
            const auto grad = Cell::recall(carried, grad_o[j], memory_before[j], values);
            carry[j] = carried;
            for (int gate = 0; gate < GATES; ++gate) grad_sums[gate * n_units + j] = grad[gate];
        }
    }

    // From those to the derivatives by both products, and by bias and gains.
    void sums_back(int64_t t, int64_t row) {
        const Operand* __restrict input = projected(t, row);
        const Real* __restrict from_h = normalized(t, row);
        const Real* __restrict grad = by_gates.data();
        Real *const sum = grad_bias, *const sum_x = sum + n_gates, *const sum_h = sum_x + n_gates;
        for (int64_t k = 0; k < n_gates; ++k) sum[k] += grad[k];
        const int64_t at = (t * w.n_rows + row) * n_gates;
        Operand* __restrict by_x = static_cast<Operand*>(w.grad_projected) + at;
        Operand* __restrict by_h = static_cast<Operand*>(w.grad_recurrent) + at;
        const auto of_x = statistics(t, row)[0], of_h = statistics(t, row)[1];
        normalize_back(grad, gain_ih, [=](int64_t k) { return of_x.normalize(widen(input[k])); }, of_x.scale, n_gates,
                       sum_x, [=](int64_t k, Real by) { by_x[k] = narrow<Operand>(by); });
        normalize_back(grad, gain_hh, [=](int64_t k) { return from_h[k]; }, of_h.scale, n_gates,
                       sum_h, [=](int64_t k, Real by) { by_h[k] = narrow<Operand>(by); });
    }

    void apply_mask(int64_t row) const {
        const Real* __restrict mask = static_cast<const Real*>(w.mask) + row * n_units;
        Real* __restrict grad_hidden = row_of(w.grad_hidden, row);
        for (int64_t j = 0; j < n_units; ++j) grad_hidden[j] *= mask[j];
    }
};

template <class Cell, class Operand, class Real> void run(const LayerNormLSTM& w, bool is_backward) {
    const Real* const numbers = static_cast<const Real*>(w.weight);
    const int64_t n = w.n_units, n_gates = Cell::GATES * n;
    auto weight = is_backward ? Matrix<Operand, Real>(numbers, n, n_gates, 1, n)
                              : Matrix<Operand, Real>(numbers, n_gates, n, n, 1);
    in_parallel_by_rows(w.n_threads, w.n_rows, [&](const Place& place) {
        weight.pack(place);
        wait();
        LayerNormLoop<Cell, Operand, Real> loop(w, weight, place);
        is_backward ? loop.backward() : loop.forward();
    });
}

}  // namespace lstmlm

WINDOWS(layer_norm_lstm, LayerNormLSTM, lstmlm::FreeLSTM)
WINDOWS(layer_norm_lstm_capped, LayerNormLSTM, lstmlm::CappedLSTM)
WINDOWS(layer_norm_lstm_coupled, LayerNormLSTM, lstmlm::CoupledLSTM)
