// The cells' equations for one unit of one column; `models/kernels/lstm.py` and its neighbours derive them.
//
// Each cell says how many GATES it has, how many values a unit KEEPS for the backward pass, and whether it has a MEMORY
// beside its output. `x` are the gates' parts of W_x x_t + b, `h` of W_h h_{t-1}; `dx` and `dh` the loss's derivatives
// by them. `memory` and `carry` (the derivative that reaches step t − 1 beside W_h) are updated.
#pragma once

#include <array>

#include "arithmetic.h"

namespace lstmlm {

// How the input gate opens: by its own sum; so, and by 1 − f at most (kept is the gate without the cap); by 1 − f.
enum class InputGate { OWN, CAPPED, COUPLED };

template <InputGate INPUT> struct LSTM {
    static constexpr int GATES = INPUT == InputGate::COUPLED ? 3 : 4, KEPT = GATES;
    static constexpr int F = GATES - 3, G = GATES - 2, O = GATES - 1;
    static constexpr bool MEMORY = true;
    template <class Real> using Gates = std::array<Real, GATES>;

    template <class Real>
    static Real forward(const Gates<Real>& x, const Gates<Real>& h, Real, Real& memory, Gates<Real>& kept) {
        Gates<Real> sums;
        for (int gate = 0; gate < GATES; ++gate) sums[gate] = x[gate] + h[gate];
        remember(sums, memory, kept);
        return kept[O] * hyperbolic_tangent(memory);
    }

    template <class Real>
    static void backward(Real grad_hidden, Real& carry, Real, Real, Real memory_before, Real memory,
                         const Gates<Real>& kept, Gates<Real>& dx, Gates<Real>& dh) {
        const Real tanh_memory = hyperbolic_tangent(memory);
        carry += grad_hidden * kept[O] * (1 - tanh_memory * tanh_memory);
        dx = dh = recall(carry, grad_hidden * tanh_memory, memory_before, kept);
    }

    // The part that makes the memory and opens the output gate, from the sums that gates are functions of.
    template <class Real> static void remember(const Gates<Real>& sums, Real& memory, Gates<Real>& kept) {
        for (int gate = 0; gate < GATES; ++gate)
            kept[gate] = gate == G ? hyperbolic_tangent(sums[gate]) : sigmoid(sums[gate]);
        memory = kept[F] * memory + input_gate(kept) * kept[G];
    }

    // The derivatives by those sums, from the ones by the memory (which becomes that by the memory before) and by o.
    template <class Real>
    static Gates<Real> recall(Real& grad_memory, Real grad_o, Real memory_before, const Gates<Real>& kept) {
        const Real f = kept[F], g = kept[G], o = kept[O], grad = grad_memory;
        const Real grad_f = grad * (is_rest(kept) ? memory_before - g : memory_before);
        Gates<Real> by_sums;
        if constexpr (F > 0) {
            const Real i = kept[0], grad_i = is_rest(kept) ? 0 : grad * g;
            by_sums[0] = grad_i * i * (1 - i);
        }
        by_sums[F] = grad_f * f * (1 - f);
        by_sums[G] = grad * input_gate(kept) * (1 - g * g);
        by_sums[O] = grad_o * o * (1 - o);
        grad_memory = grad * f;
        return by_sums;
    }

  private:
    // Whether the input gate is what the forget gate leaves.
    template <class Real> static bool is_rest(const Gates<Real>& kept) {
        return INPUT == InputGate::COUPLED || (INPUT == InputGate::CAPPED && kept[0] > 1 - kept[F]);
    }
    template <class Real> static Real input_gate(const Gates<Real>& kept) {
        return is_rest(kept) ? 1 - kept[F] : kept[0];
    }
};

using FreeLSTM = LSTM<InputGate::OWN>;
using CappedLSTM = LSTM<InputGate::CAPPED>;
using CoupledLSTM = LSTM<InputGate::COUPLED>;

struct GRU {
    static constexpr int GATES = 3, KEPT = 4;
    static constexpr bool MEMORY = false;

    template <class Real>
    static Real forward(const std::array<Real, 3>& x, const std::array<Real, 3>& h, Real hidden_before, Real&,
                        std::array<Real, 4>& kept) {
        const Real r = sigmoid(x[0] + h[0]), z = sigmoid(x[1] + h[1]), n = hyperbolic_tangent(x[2] + r * h[2]);
        kept = {r, z, n, h[2]};
        return (1 - z) * n + z * hidden_before;
    }

    template <class Real>
    static void backward(Real grad_hidden, Real& carry, Real hidden_before, Real, Real, Real,
                         const std::array<Real, 4>& kept, std::array<Real, 3>& dx, std::array<Real, 3>& dh) {
        const auto [r, z, n, h_n] = kept;
        const Real grad = grad_hidden + carry, grad_n = grad * (1 - z) * (1 - n * n);
        dx = {grad_n * h_n * r * (1 - r), grad * (hidden_before - n) * z * (1 - z), grad_n};
        dh = {dx[0], dx[1], grad_n * r};
        carry = grad * z;
    }
};

struct TanhRNN {
    static constexpr int GATES = 1, KEPT = 0;
    static constexpr bool MEMORY = false;

    template <class Real>
    static Real forward(const std::array<Real, 1>& x, const std::array<Real, 1>& h, Real, Real&, std::array<Real, 0>&) {
        return hyperbolic_tangent(x[0] + h[0]);
    }

    template <class Real>
    static void backward(Real grad_hidden, Real&, Real, Real hidden, Real, Real, const std::array<Real, 0>&,
                         std::array<Real, 1>& dx, std::array<Real, 1>& dh) {
        dx = dh = {grad_hidden * (1 - hidden * hidden)};
    }
};

struct ReluRNN {
    static constexpr int GATES = 1, KEPT = 0;
    static constexpr bool MEMORY = false;

    template <class Real>
    static Real forward(const std::array<Real, 1>& x, const std::array<Real, 1>& h, Real, Real&, std::array<Real, 0>&) {
        const Real a = x[0] + h[0];
        return a < 0 ? 0 : a;  // NaN stays NaN
    }

    template <class Real>
    static void backward(Real grad_hidden, Real&, Real, Real hidden, Real, Real, const std::array<Real, 0>&,
                         std::array<Real, 1>& dx, std::array<Real, 1>& dh) {
        dx = dh = {hidden > 0 ? grad_hidden : 0};
    }
};

}  // namespace lstmlm

// The functions NAME_<format>_forward and NAME_<format>_backward of a cell's loop, by `run<Cell, Operand, Real>` of its file.
#define WINDOW(NAME, ARGUMENTS, ...)                                                                     \
    extern "C" void NAME##_forward(const lstmlm::ARGUMENTS* a) { lstmlm::run<__VA_ARGS__>(*a, false); } \
    extern "C" void NAME##_backward(const lstmlm::ARGUMENTS* a) { lstmlm::run<__VA_ARGS__>(*a, true); }
#ifdef __AVX512BF16__
#define ROUNDED_WINDOW(NAME, ARGUMENTS, CELL) WINDOW(NAME##_bfloat16, ARGUMENTS, CELL, lstmlm::bfloat16, float)
#else
#define ROUNDED_WINDOW(NAME, ARGUMENTS, CELL)
#endif
#define WINDOWS(NAME, ARGUMENTS, CELL)                    \
    WINDOW(NAME##_float32, ARGUMENTS, CELL, float, float)   \
    WINDOW(NAME##_float64, ARGUMENTS, CELL, double, double) \
    ROUNDED_WINDOW(NAME, ARGUMENTS, CELL)
