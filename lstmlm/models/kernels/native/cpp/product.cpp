// The products that models/kernels/gemm.py asks for, each in a region of its own.

#include "multiplication.h"

namespace lstmlm {

template <class Operand, class Real, class Left, class Right, class Out> void multiply_alone(const Product& p) {
    const Multiplication<Operand, Real, Left, Right, Out> multiplication(p);
    in_parallel(p.n_threads, p.n_rows, [&](const Place& place) { multiplication.run(place); });
}

}  // namespace lstmlm

#define PRODUCT(NAME, ...) \
    extern "C" void product_##NAME(const lstmlm::Product* p) { lstmlm::multiply_alone<__VA_ARGS__>(*p); }
PRODUCT(float32, float, float, float, float, float)
PRODUCT(float64, double, double, double, double, double)
#ifdef __AVX512BF16__  // of two matrices of bfloat16, in float32, and rounded
PRODUCT(bfloat16_to_float32, lstmlm::bfloat16, float, lstmlm::bfloat16, lstmlm::bfloat16, float)
PRODUCT(bfloat16_to_bfloat16, lstmlm::bfloat16, float, lstmlm::bfloat16, lstmlm::bfloat16, lstmlm::bfloat16)
#endif
