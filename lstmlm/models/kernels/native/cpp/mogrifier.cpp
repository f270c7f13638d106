// The loops over time of the Mogrifier LSTM; models/kernels/mogrifier.py has the equations.
//
// Within a step each product needs all of the one before, so that threads share nothing but rows. Per product, a few
// rows and units at a time, the equations follow while the sums are still in the cache.

#include <vector>

#include "cells.h"
#include "matrix.h"

namespace lstmlm {

// What `Mogrifier` in models/kernels/native/__init__.py fills in. A row of `operands` holds all that products read of a
// column at a step: x^{-1}, h^0, x^1, h^2, ... up to the last of both. The LSTM reads the last two, as they lie there.
struct Mogrifier {
    int64_t n_steps, n_rows, n_inputs, n_units, n_threads;
    int64_t keep;              // whether every step's values are kept, for a backward pass
    int64_t n_rounds, rank;    // rank 0: full matrices
    const void* inputs;        // (steps, rows, inputs) Real
    const void* weight;        // (gates units, last two) Real: W_x and W_h side by side, in the order of the last two
    const void* bias;          // (gates units) Real
    const void* rounds;        // Real: all matrices and biases of the rounds, in the order of `CellWeights.extra`
    const void* mask;          // (rows, units) Real: state dropout; may be null
    void* hiddens;             // (steps + 1, rows, units) Real, the first of them given
    void* memories;            // the same
    void* operands;            // (steps or 1, rows, see above) Operand
    void* inner;               // (steps or 1, rows, rounds rank) Operand: between the two factors of each round
    void* opened;              // (steps or 1, rows, the targets of all rounds) Real: the sigmoids of the rounds
    void* kept;                // (steps or 1, rows, gates units) Real: those of the LSTM
    const void* grad_outputs;  // (steps, rows, units) Real
    void* grad_gates;          // (steps, rows, gates units) Operand: by the sums of the LSTM's gates
    void* grad_opened;         // (steps, rows, the targets of all rounds) Operand: by the sums of the rounds
    void* grad_inner;          // (steps, rows, rounds rank) Operand
    void* grad_inputs;         // (steps, rows, inputs) Real
    void* carry;               // (rows, units) Real: by c_t, given for the last step, left for the first
    void* grad_hidden;         // (rows, units) Real: zeros, then by h_t; left for the first hidden state
};

// Where things lie: i counts the values x^i (odd) and h^i (even), hence rounds from 1.
struct Layout {
    const Mogrifier& m;

    int64_t width(int64_t i) const { return i % 2 ? m.n_inputs : m.n_units; }
    int64_t begin(int64_t i) const { return (i + 2) / 2 * m.n_inputs + (i + 1) / 2 * m.n_units; }
    int64_t opened(int64_t i) const { return begin(i) - begin(1); }
    int64_t all_operands() const { return begin(m.n_rounds + 1); }
    int64_t all_opened() const { return opened(m.n_rounds + 1); }
};

// The matrices of one direction, each laid out once a window and shared by all threads.
template <class Operand, class Real> struct Matrices {
    using Factor = Matrix<Operand, Real>;

    std::vector<std::vector<Factor>> rounds;  // in the order in which a round applies them
    std::vector<const Real*> biases;
    std::vector<Factor> lstm;  // a matrix a gate, so that a tile has all gates; transposed one for each of the last two

    Matrices(const Mogrifier& m, int n_gates, bool transposed) {
        const Layout layout{m};
        const Real* next = static_cast<const Real*>(m.rounds);
        const auto take = [&](int64_t n_out, int64_t n_in) {
            const Real* const first = next;
            next += n_out * n_in;
            return transposed ? Factor(first, n_in, n_out, 1, n_in) : Factor(first, n_out, n_in, n_in, 1);
        };
        for (int64_t i = 1; i <= m.n_rounds; ++i) {
            const int64_t source = layout.width(i - 1), target = layout.width(i);
            auto& factors = rounds.emplace_back();
            if (m.rank) factors.push_back(take(m.rank, source));
            factors.push_back(take(target, m.rank ? m.rank : source));
            if (transposed) std::reverse(factors.begin(), factors.end());
            biases.push_back(next);
            next += target;
        }
        const Real* const weight = static_cast<const Real*>(m.weight);
        const int64_t depth = m.n_inputs + m.n_units, first_width = layout.width(m.n_rounds - 1);
        if (transposed) {
            lstm.emplace_back(weight, first_width, n_gates * m.n_units, 1, depth);
            lstm.emplace_back(weight + first_width, depth - first_width, n_gates * m.n_units, 1, depth);
        } else {
            for (int gate = 0; gate < n_gates; ++gate)
                lstm.emplace_back(weight + gate * m.n_units * depth, m.n_units, depth, depth, 1);
        }
    }

    void pack(const Place& place) {
        for (auto& factors : rounds)
            for (auto& factor : factors) factor.pack(place);
        for (auto& matrix : lstm) matrix.pack(place);
        wait();
    }
};

// One thread's part of a window.
template <class Cell, class Operand, class Real> class MogrifierLoop {
    using Factors = std::vector<Matrix<Operand, Real>>;

    const Mogrifier& m;
    const Layout layout{m};
    const Matrices<Operand, Real>& matrices;
    const Range rows;
    static constexpr int GATES = Cell::GATES;
    const int64_t n_units = m.n_units, n_gates = GATES * m.n_units;
    std::vector<Real> x, h;  // the last x^i and h^i in full precision, which operands may not have

  public:
    MogrifierLoop(const Mogrifier& window, const Matrices<Operand, Real>& packed, const Place& place)
        : m(window), matrices(packed), rows(share(m.n_rows, place.row_group, place.n_row_groups)) {}

    void forward() {
        x.resize((rows.last - rows.first) * m.n_inputs);
        h.resize((rows.last - rows.first) * n_units);
        for (int64_t t = 0; t < m.n_steps; ++t) {
            for (int64_t row = rows.first; row < rows.last; ++row) begin(t, row);
            for (int64_t i = 1; i <= m.n_rounds; ++i)
                multiply(matrices.rounds[i - 1], operand(t, 0, i - 1), layout.all_operands(),
                         inner(m.inner, kept_at(t), i), [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                             gate(t, i, row, unit, n, sums);
                         });
            alignas(64) Sums<Real> sums[GATES];
            for_each_tile<Real>(rows, {0, matrices.lstm[0].n_panels}, n_units, [&](const Tile& tile) {
                for (int gate = 0; gate < GATES; ++gate)
                    matrices.lstm[gate].multiply(tile, operand(t, tile.row, m.n_rounds - 1), layout.all_operands(),
                                                 sums[gate]);
                for (int64_t r = 0; r < tile.n_rows; ++r) step(t, tile.row + r, tile.unit, tile.n_units, sums, r);
            });
        }
    }

    void backward() {
        const int64_t last = m.n_rounds;
        for (int64_t t = m.n_steps - 1; t >= 0; --t) {
            for (int64_t row = rows.first; row < rows.last; ++row) step_back(t, row);
            for (int64_t i = last - 1; i <= last; ++i)
                matrices.lstm[i - last + 1].multiply_all(
                    rows, grad_gates(t, 0), n_gates, [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                        std::copy(sums, sums + n, grad(t, row, i) + unit);
                    });
            for (int64_t i = last; i > 0; --i) {
                for (int64_t row = rows.first; row < rows.last; ++row) gate_back(t, i, row);
                multiply(matrices.rounds[i - 1], grad_opened(t, 0, i), layout.all_opened(), inner(m.grad_inner, t, i),
                         [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                             Real* const to = grad(t, row, i - 1) + unit;
                             for (int64_t j = 0; j < n; ++j) to[j] += sums[j];
                         });
            }
            if (m.mask)
                for (int64_t row = rows.first; row < rows.last; ++row) apply_mask(row);
        }
    }

  private:
    int64_t kept_at(int64_t t) const { return m.keep ? t : 0; }
    Operand* operand(int64_t t, int64_t row, int64_t i) const {
        const int64_t first = (kept_at(t) * m.n_rows + row) * layout.all_operands();
        return static_cast<Operand*>(m.operands) + first + layout.begin(i);
    }
    Real* opened(int64_t t, int64_t row, int64_t i) const {
        return static_cast<Real*>(m.opened) + (kept_at(t) * m.n_rows + row) * layout.all_opened() + layout.opened(i);
    }
    Operand* grad_opened(int64_t t, int64_t row, int64_t i) const {
        return static_cast<Operand*>(m.grad_opened) + (t * m.n_rows + row) * layout.all_opened() + layout.opened(i);
    }
    Operand* inner(void* of_all_rounds, int64_t t, int64_t i) const {
        return static_cast<Operand*>(of_all_rounds) + (t * m.n_rows * m.n_rounds + i - 1) * m.rank;
    }
    Real* kept(int64_t t, int64_t row) const {
        return static_cast<Real*>(m.kept) + (kept_at(t) * m.n_rows + row) * n_gates;
    }
    Operand* grad_gates(int64_t t, int64_t row) const {
        return static_cast<Operand*>(m.grad_gates) + (t * m.n_rows + row) * n_gates;
    }
    const Real* mask(int64_t row) const { return m.mask ? static_cast<const Real*>(m.mask) + row * n_units : nullptr; }
    // The value x^i or h^i that is current.
    Real* value(int64_t row, int64_t i) {
        return (i % 2 ? x.data() : h.data()) + (row - rows.first) * layout.width(i);
    }
    // The derivative by it.
    Real* grad(int64_t t, int64_t row, int64_t i) const {
        if (i % 2) return static_cast<Real*>(m.grad_inputs) + (t * m.n_rows + row) * m.n_inputs;
        return static_cast<Real*>(m.grad_hidden) + row * n_units;
    }

    // Multiply all rows by the factors of a round; what lies between two of them is kept.
    template <class Work>
    void multiply(const Factors& factors, const Operand* from, int64_t stride, Operand* between, Work work) const {
        if (factors.size() == 2) {
            const int64_t stride_between = m.n_rounds * m.rank;
            factors[0].multiply_all(rows, from, stride, [&](int64_t row, int64_t unit, int64_t n, const Real* sums) {
                Operand* const to = between + row * stride_between + unit;
                for (int64_t j = 0; j < n; ++j) to[j] = narrow<Operand>(sums[j]);
            });
            from = between;
            stride = stride_between;
        }
        factors.back().multiply_all(rows, from, stride, work);
    }

    // x^{-1} and h^0.
    void begin(int64_t t, int64_t row) {
        const Real* const input = static_cast<const Real*>(m.inputs) + (t * m.n_rows + row) * m.n_inputs;
        const Real* const hidden = static_cast<const Real*>(m.hiddens) + (t * m.n_rows + row) * n_units;
        Real *const x_t = value(row, -1), *const h_t = value(row, 0);
        Operand *const x_operand = operand(t, row, -1), *const h_operand = operand(t, row, 0);
        std::copy(input, input + m.n_inputs, x_t);
        std::copy(hidden, hidden + n_units, h_t);
        if (const Real* const factors = mask(row))
            for (int64_t j = 0; j < n_units; ++j) h_t[j] *= factors[j];
        for (int64_t j = 0; j < m.n_inputs; ++j) x_operand[j] = narrow<Operand>(x_t[j]);
        for (int64_t j = 0; j < n_units; ++j) h_operand[j] = narrow<Operand>(h_t[j]);
    }

    // Round i for some units of a row.
    void gate(int64_t t, int64_t i, int64_t row, int64_t unit, int64_t n, const Real* __restrict sums) {
        const Real* __restrict bias = matrices.biases[i - 1] + unit;
        Real* __restrict sigmoids = opened(t, row, i) + unit;
        Real* __restrict target = value(row, i) + unit;
        Operand* __restrict operands = operand(t, row, i) + unit;
        for (int64_t j = 0; j < n; ++j) {
            const Real s = sigmoid(sums[j] + bias[j]), gated = 2 * s * target[j];
            sigmoids[j] = s;
            target[j] = gated;
            operands[j] = narrow<Operand>(gated);
        }
    }

    // From the derivative by the target of round i to those by its sums and by the target before.
    void gate_back(int64_t t, int64_t i, int64_t row) const {
        const Real* __restrict sigmoids = opened(t, row, i);
        const Operand* __restrict before = operand(t, row, i - 2);
        Real* __restrict target = grad(t, row, i);
        Operand* __restrict by_sums = grad_opened(t, row, i);
        for (int64_t j = 0; j < layout.width(i); ++j) {
            const Real s = sigmoids[j], doubled = 2 * s * target[j];
            by_sums[j] = narrow<Operand>(doubled * (1 - s) * widen(before[j]));
            target[j] = doubled;
        }
    }

    // The LSTM for some units of a row.
    void step(int64_t t, int64_t row, int64_t unit, int64_t n, const Sums<Real>* sums, int64_t r) const {
        const int64_t before = (t * m.n_rows + row) * n_units + unit, after = before + m.n_rows * n_units;
        const Real* __restrict bias = static_cast<const Real*>(m.bias) + unit;
        Real* __restrict hiddens = static_cast<Real*>(m.hiddens);
        Real* __restrict memories = static_cast<Real*>(m.memories);
        Real* __restrict gates = kept(t, row) + unit;
INDEPENDENT
        for (int64_t j = 0; j < n; ++j) {
            std::array<Real, GATES> from_x, from_h = {}, values;
            for (int gate = 0; gate < GATES; ++gate) from_x[gate] = sums[gate][r][j] + bias[gate * n_units + j];
            Real memory = memories[before + j];
            hiddens[after + j] = Cell::forward(from_x, from_h, Real(0), memory, values);
            memories[after + j] = memory;
            for (int gate = 0; gate < GATES; ++gate) gates[gate * n_units + j] = values[gate];
        }
    }

    void step_back(int64_t t, int64_t row) const {
        const int64_t before = (t * m.n_rows + row) * n_units, after = before + m.n_rows * n_units;
        const Real* __restrict memories = static_cast<const Real*>(m.memories);
        const Real* __restrict gates = kept(t, row);
        const Real* __restrict grad_outputs = static_cast<const Real*>(m.grad_outputs) + before;
        const Real* __restrict grad_hidden = static_cast<const Real*>(m.grad_hidden) + row * n_units;
        Real* __restrict carry = static_cast<Real*>(m.carry) + row * n_units;
        Operand* __restrict grad_sums = grad_gates(t, row);
INDEPENDENT
        for (int64_t j = 0; j < n_units; ++j) {
            std::array<Real, GATES> values, dx, dh;
            for (int gate = 0; gate < GATES; ++gate) values[gate] = gates[gate * n_units + j];
            Real carried = carry[j];
            Cell::backward(grad_outputs[j] + grad_hidden[j], carried, Real(0), Real(0), memories[before + j],
                           memories[after + j], values, dx, dh);
            carry[j] = carried;
            for (int gate = 0; gate < GATES; ++gate) grad_sums[gate * n_units + j] = narrow<Operand>(dx[gate]);
        }
    }

    void apply_mask(int64_t row) const {
        const Real* __restrict factors = mask(row);
        Real* __restrict grad_hidden = grad(0, row, 0);
        for (int64_t j = 0; j < n_units; ++j) grad_hidden[j] *= factors[j];
    }
};

template <class Cell, class Operand, class Real> void run(const Mogrifier& m, bool is_backward) {
    Matrices<Operand, Real> matrices(m, Cell::GATES, is_backward);
    in_parallel_by_rows(m.n_threads, m.n_rows, [&](const Place& place) {
        matrices.pack(place);
        MogrifierLoop<Cell, Operand, Real> loop(m, matrices, place);
        is_backward ? loop.backward() : loop.forward();
    });
}

}  // namespace lstmlm

WINDOWS(mogrifier, Mogrifier, lstmlm::FreeLSTM)
WINDOWS(mogrifier_capped, Mogrifier, lstmlm::CappedLSTM)
WINDOWS(mogrifier_coupled, Mogrifier, lstmlm::CoupledLSTM)
