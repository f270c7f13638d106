// From a block of logits to the loss of each row, and to the loss's gradient in the memory of the logits.

#include <algorithm>
#include <vector>

#include "arithmetic.h"

namespace lstmlm {

// What `Softmax` in models/kernels/native/__init__.py fills in.
struct Softmax {
    int64_t n_rows, n_columns, stride, n_threads;
    int64_t differentiate;   // whether logits become the gradient of the loss, see cross_entropy.py
    void* logits;            // (rows, columns), rows `stride` apart; without the bias
    const void* bias;        // (columns)
    const int64_t* targets;  // (rows), negative for none
    void* nats;              // (rows): −ln p of the target, 0 for none
};

constexpr double LN_2 = 0.6931471805599453;
constexpr int64_t CHUNK = 4096;  // sums of exponentials are added up in chunks, so that long ones stay exact

template <class Operand, class Real> void softmax_row(const Softmax& s, int64_t row, Real* __restrict values) {
    Operand* __restrict logits = static_cast<Operand*>(s.logits) + row * s.stride;
    const Real* __restrict bias = static_cast<const Real*>(s.bias);
    const int64_t target = s.targets[row];
    Real* nats = static_cast<Real*>(s.nats) + row;
    if (target < 0) {
        *nats = 0;
        if (s.differentiate) std::fill(logits, logits + s.n_columns, Operand{});
        return;
    }
    Real largest = -INFINITY;
#pragma omp simd reduction(max : largest)
    for (int64_t j = 0; j < s.n_columns; ++j) {
        values[j] = widen(logits[j]) + bias[j];
        largest = values[j] > largest ? values[j] : largest;
    }
    const Real wanted = values[target];
    double total = 0;
    for (int64_t first = 0; first < s.n_columns; first += CHUNK) {
        Real sum = 0;
        const int64_t last = std::min(first + CHUNK, s.n_columns);
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < last; ++j) {
            values[j] = exponential(values[j] - largest);
            sum += values[j];
        }
        total += sum;
    }
    *nats = Real(std::log(total) + double(largest) - double(wanted));
    if (!s.differentiate) return;
    const Real scale = Real(1 / total);
    for (int64_t j = 0; j < s.n_columns; ++j) logits[j] = narrow<Operand>(values[j] * scale);
    // p − 1 = exp(−nats) − 1, here without the rounding of p; below p = 1/2 the 1 is subtracted elsewhere.
    const double of_target = *nats > Real(LN_2) ? std::exp(-double(*nats)) : std::expm1(-double(*nats));
    logits[target] = narrow<Operand>(Real(of_target));
}

template <class Operand, class Real> void softmax(const Softmax& s) {
#pragma omp parallel num_threads(int(s.n_threads))
    {
        std::vector<Real> values(s.n_columns);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < s.n_rows; ++row) softmax_row<Operand, Real>(s, row, values.data());
    }
}

}  // namespace lstmlm

extern "C" void softmax_float32(const lstmlm::Softmax* s) { lstmlm::softmax<float, float>(*s); }
extern "C" void softmax_float64(const lstmlm::Softmax* s) { lstmlm::softmax<double, double>(*s); }
extern "C" void softmax_bfloat16(const lstmlm::Softmax* s) { lstmlm::softmax<lstmlm::bfloat16, float>(*s); }
