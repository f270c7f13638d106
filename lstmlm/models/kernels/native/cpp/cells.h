// The cells' equations for one unit of one column; `models/kernels/lstm.py` and its neighbours derive them.
//
// Each cell says how many GATES it has, how many values a unit KEEPS for the backward pass, and whether it has a MEMORY
// beside its output. `x` are the gates' parts of W_x x_t + b, `h` of W_h h_{t-1}; `dx` and `dh` the loss's derivatives
// by them. `memory` and `carry` (the derivative that reaches step t − 1 beside W_h) are updated.
#pragma once

#include <array>

#include "arithmetic.h"

namespace lstmlm {

// With CAPPED the input gate is at most 1 − f; kept is the gate without the cap.
template <bool CAPPED> struct LSTM {
    static constexpr int GATES = 4, KEPT = 4;
    static constexpr bool MEMORY = true;

    template <class Real>
    static Real forward(const std::array<Real, 4>& x, const std::array<Real, 4>& h, Real, Real& memory,
                        std::array<Real, 4>& kept) {
        remember({x[0] + h[0], x[1] + h[1], x[2] + h[2], x[3] + h[3]}, memory, kept);
        return kept[3] * hyperbolic_tangent(memory);
    }

    template <class Real>
    static void backward(Real grad_hidden, Real& carry, Real, Real, Real memory_before, Real memory,
                         const std::array<Real, 4>& kept, std::array<Real, 4>& dx, std::array<Real, 4>& dh) {
        const Real tanh_memory = hyperbolic_tangent(memory);
        carry += grad_hidden * kept[3] * (1 - tanh_memory * tanh_memory);
        dx = dh = recall(carry, grad_hidden * tanh_memory, memory_before, kept);
    }

    // The part that makes the memory and opens the output gate, from the sums that gates are functions of.
    template <class Real>
    static void remember(const std::array<Real, 4>& sums, Real& memory, std::array<Real, 4>& kept) {
        const Real i = sigmoid(sums[0]), f = sigmoid(sums[1]), g = hyperbolic_tangent(sums[2]), o = sigmoid(sums[3]);
        kept = {i, f, g, o};
        memory = f * memory + capped(i, f) * g;
    }

    // The derivatives by those sums, from the ones by the memory (which becomes that by the memory before) and by o.
    template <class Real>
    static std::array<Real, 4> recall(Real& grad_memory, Real grad_o, Real memory_before,
                                      const std::array<Real, 4>& kept) {
        const auto [i, f, g, o] = kept;
        const Real grad = grad_memory;
        const bool is_capped = CAPPED && i > 1 - f;
        const Real grad_i = is_capped ? 0 : grad * g;
        const Real grad_f = grad * (is_capped ? memory_before - g : memory_before);
        grad_memory = grad * f;
        return {grad_i * i * (1 - i), grad_f * f * (1 - f), grad * capped(i, f) * (1 - g * g), grad_o * o * (1 - o)};
    }

  private:
    template <class Real> static Real capped(Real i, Real f) { return CAPPED && i > 1 - f ? 1 - f : i; }
};

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
