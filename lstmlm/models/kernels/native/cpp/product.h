// The product: how operands are packed, and what the registers do with them.
//
// C = A B is cut until everything lies where it is read from:
//
//            columns, in panels of as many as a vector has lanes: two at a time
//             ┌────┬────┬────┬──
//   depth     │ ║  │ ║  │    │        a panel is packed (depth, lanes): the registers read it from end to end
//             └────┴────┴────┴──
//   ┌──────┐  ┌────┬────┬────┬──
//   │ rows │  │ sums    │    │        a tile: MAX_ROWS rows by two panels of sums, which stay in registers for all
//   ├──────┤  ├─────────┼────┼──      of a block's depth; a number of a row meets both vectors of the panels
//   │      │  │         │    │
//   └──────┘  └─────────┴────┴──
//
// Two panels of a block pass through the first cache for every tile, the packed rows of a block are in the second, all
// panels of a block in the third, where threads share them. Rows may also be read where they lie, if they are few. Every sum is
// added up in the same order, whatever rows are beside it and however threads divide the work.
#pragma once

#include "packing.h"

namespace lstmlm {

// Sums of a tile.
template <class Real> using Sums = Real[MAX_ROWS][2 * LANES<Real>];

// Ask for the lines of the cache that hold `n` numbers.
template <class Number> void fetch(const Number* numbers, int64_t n) {
    constexpr int64_t LINE = 64 / sizeof(Number);
    for (int64_t i = 0; i < n; i += LINE) __builtin_prefetch(numbers + i);
    __builtin_prefetch(numbers + n - 1);
}

// sum + a b in every lane, where `a` are DEPTH operands of a row (fewer at an odd end) and `b` a packed vector.
template <class Real> inline Vector<Real> multiply_add(Vector<Real> sum, const Real* a, bool, const Real* b) {
    return sum + *a * load<Real>(b);
}
#ifdef __AVX512BF16__
inline Vector<float> multiply_add(Vector<float> sum, const bfloat16* a, bool whole, const bfloat16* b) {
    uint32_t pair = a->bits;
    if (whole) std::memcpy(&pair, a, sizeof pair);
    const __m512i rows = _mm512_set1_epi32(int(pair)), packed = _mm512_loadu_si512(b);
    return Vector<float>(_mm512_dpbf16_ps(__m512(sum), (__m512bh)rows, (__m512bh)packed));
}
#endif

// One tile: ROWS rows by PANELS panels, `panel_size` apart, into `out` (ROWS, 2 lanes). Rows lie `stride` apart, or with
// a stride of 0 packed (steps, ROWS, DEPTH).
template <class Operand, class Real, int ROWS, int PANELS, bool PACKED>
void multiply(const Operand* rows, int64_t stride, const Operand* panels, int64_t panel_size, int64_t depth, Real* out) {
    constexpr int STEP = DEPTH<Operand>, ADVANCE = LANES<Real> * STEP;
    const int64_t between = PACKED ? STEP : stride, advance = PACKED ? ROWS * STEP : STEP;
    Vector<Real> sums[ROWS][PANELS] = {};
    const auto step = [&](int64_t k, bool whole) {
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; ++row)
#pragma GCC unroll 2
            for (int panel = 0; panel < PANELS; ++panel)
                sums[row][panel] = multiply_add(sums[row][panel], rows + row * between + k * advance, whole,
                                                panels + panel * panel_size + k * ADVANCE);
    };
    const int64_t n_whole = PACKED ? steps<Operand>(depth) : depth / STEP;
    for (int64_t k = 0; k < n_whole; ++k) step(k, true);
    if (!PACKED && n_whole * STEP < depth) step(n_whole, false);
    for (int row = 0; row < ROWS; ++row) std::memcpy(out + row * 2 * LANES<Real>, sums[row], sizeof sums[row]);
}

// `multiply` for a number of rows (1 to MAX_ROWS) and panels (1 or 2) that is known only now.
template <class Operand, class Real, bool PACKED, int ROWS = MAX_ROWS>
void multiply_few(int n_rows, int n_panels, const Operand* rows, int64_t stride, const Operand* panels,
                  int64_t panel_size, int64_t depth, Sums<Real>& out) {
    if constexpr (ROWS > 1) {
        if (n_rows < ROWS)
            return multiply_few<Operand, Real, PACKED, ROWS - 1>(n_rows, n_panels, rows, stride, panels, panel_size,
                                                                 depth, out);
    }
    const auto tile = n_panels == 2 ? multiply<Operand, Real, ROWS, 2, PACKED> : multiply<Operand, Real, ROWS, 1, PACKED>;
    tile(rows, stride, panels, panel_size, depth, out[0]);
}

}  // namespace lstmlm
