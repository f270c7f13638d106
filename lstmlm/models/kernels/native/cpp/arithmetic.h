// Numbers: precisions, vectors and the exponential function.
//
// `Operand` is what a product multiplies: float, double or bfloat16. `Real` is what everything else is computed in.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

// Before a loop whose turns do not touch what others do, though the compiler cannot know.
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace lstmlm {

// Widest vectors of the machine, and how many rows of two of them fit into its registers.
#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, MAX_ROWS = 12;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, MAX_ROWS = 6;
#else
constexpr int VECTOR_BYTES = 16, MAX_ROWS = 8;
#endif

struct bfloat16 {
    uint16_t bits;
};

inline float widen(bfloat16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }
inline float widen(float x) { return x; }
inline double widen(double x) { return x; }

template <class To> To narrow(float x);
template <class To> To narrow(double x);
template <class To> To narrow(bfloat16 x);
template <> inline float narrow<float>(float x) { return x; }
template <> inline double narrow<double>(double x) { return x; }
template <> inline bfloat16 narrow<bfloat16>(bfloat16 x) { return x; }
template <> inline bfloat16 narrow<bfloat16>(float x) {  // to the nearest, ties to even; NaN stays NaN
    const uint32_t bits = std::bit_cast<uint32_t>(x), rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    return {uint16_t(x == x ? rounded : 0x7FC0)};
}

template <class Real> constexpr int LANES = VECTOR_BYTES / sizeof(Real);
template <class Number, int N> struct Numbers {
    typedef Number type __attribute__((vector_size(N * sizeof(Number))));
};
template <int N> struct Numbers<bfloat16, N> {};  // not every compiler passes over a vector of a struct
template <class Number, int N> using Several = typename Numbers<Number, N>::type;
template <class Number> using Vector = Several<Number, LANES<Number>>;

// As many numbers as a vector of `Real` has lanes.
template <class Real> inline Vector<Real> load(const Real* from) {
    Vector<Real> numbers;
    std::memcpy(&numbers, from, sizeof numbers);
    return numbers;
}

// The sum of all lanes, half of them to the other half until two are left.
template <class Real, int N = LANES<Real>> inline Real total(const Several<Real, N>& numbers) {
    if constexpr (N == 2) {
        return numbers[0] + numbers[1];
    } else {
        struct Halves {
            Several<Real, N / 2> lower, upper;
        };
        const Halves halves = std::bit_cast<Halves>(numbers);
        return total<Real, N / 2>(halves.lower + halves.upper);
    }
}

// exp x without branches, so that loops become vector code; off by 2 units in the last place. Cephes' polynomial.
inline float exponential(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float shifted = x * 1.44269504f + 12582912.0f;  // its last bits are x / ln 2, rounded, beside those of 1.5 2²³
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const uint32_t exponent = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(12582912.0f) + 127;
    return p * std::bit_cast<float>(exponent << 23);
}
inline double exponential(double x) { return std::exp(x); }

template <class Real> inline Real sigmoid(Real x) { return 1 / (1 + exponential(-x)); }

// tanh x = 2 σ(2x) − 1 is off by 2e-7 at most.
inline float hyperbolic_tangent(float x) { return 2 * sigmoid(2 * x) - 1; }
inline double hyperbolic_tangent(double x) { return std::tanh(x); }

}  // namespace lstmlm
