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
// Two panels of a block are in the first cache while rows pass by, the packed rows of a block in the second, all panels
// of a block in the third, where threads share them. Rows may also be read where they lie, if they are few. Every sum is
// added up in the same order, whatever rows are beside it and however threads divide the work.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <type_traits>

#include "arithmetic.h"

namespace lstmlm {

// How many operands of a row enter one multiplication of a lane: the instruction for bfloat16 takes pairs.
template <class Operand> constexpr int DEPTH = sizeof(Operand) == 2 ? 2 : 1;

// Sums of a tile.
template <class Real> using Sums = Real[MAX_ROWS][2 * LANES<Real>];

// Room for `n` numbers, aligned to lines of the cache.
template <class Number> struct Free {
    void operator()(Number* room) const { ::operator delete[](room, std::align_val_t(64)); }
};
template <class Number> using Room = std::unique_ptr<Number[], Free<Number>>;
template <class Number> Room<Number> room_for(int64_t n) {
    return Room<Number>(new (std::align_val_t(64)) Number[n]);
}

inline int64_t parts(int64_t n, int64_t of_at_most) { return (n + of_at_most - 1) / of_at_most; }

// Ask for the lines of the cache that hold `n` numbers.
template <class Number> void fetch(const Number* numbers, int64_t n) {
    constexpr int64_t LINE = 64 / sizeof(Number);
    for (int64_t i = 0; i < n; i += LINE) __builtin_prefetch(numbers + i);
    __builtin_prefetch(numbers + n - 1);
}

// How many multiplications of a lane `depth` operands take.
template <class Operand> int64_t steps(int64_t depth) { return parts(depth, DEPTH<Operand>); }

#if __has_builtin(__builtin_shufflevector)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // GCC before 12
#define MIX(a, b, ...) __builtin_shuffle(a, b, Places{__VA_ARGS__})
#endif

// Rows to columns, four numbers of four rows.
template <class Number> void transpose(const Number* from, int64_t from_stride, Number* to, int64_t to_stride) {
    typedef Number Four __attribute__((vector_size(4 * sizeof(Number))));
    typedef std::conditional_t<sizeof(Number) == 4, int32_t, int64_t> Places [[maybe_unused]]
    __attribute__((vector_size(4 * sizeof(Number))));
    Four rows[4];
    for (int i = 0; i < 4; ++i) std::memcpy(&rows[i], from + i * from_stride, sizeof(Four));
    const Four a = MIX(rows[0], rows[1], 0, 4, 1, 5), b = MIX(rows[2], rows[3], 0, 4, 1, 5);
    const Four c = MIX(rows[0], rows[1], 2, 6, 3, 7), d = MIX(rows[2], rows[3], 2, 6, 3, 7);
    const Four columns[4] = {MIX(a, b, 0, 1, 4, 5), MIX(a, b, 2, 3, 6, 7), MIX(c, d, 0, 1, 4, 5), MIX(c, d, 2, 3, 6, 7)};
    for (int i = 0; i < 4; ++i) std::memcpy(to + i * to_stride, &columns[i], sizeof(Four));
}
#undef MIX

// Numbers from[unit * unit_stride + k * depth_stride], packed (steps, width, DEPTH), with zeros beyond `n` units and at
// an odd end of the depth.
template <class Operand, class Number>
void pack(const Number* from, int64_t unit_stride, int64_t depth_stride, int64_t n, int64_t width, int64_t depth,
          Operand* to) {
    constexpr int64_t STEP = DEPTH<Operand>, AT_ONCE = 16;  // which are a line of the cache of every unit
    constexpr bool AS_IT_LIES = std::is_same_v<Operand, Number> && STEP == 1;
    if (n < width || depth % STEP) std::fill_n(to, steps<Operand>(depth) * STEP * width, Operand{});
    int64_t n_done = 0, depth_done = 0;  // four at a time, where they lie side by side
    if constexpr (AS_IT_LIES) {
        if (unit_stride == 1) {
            n_done = n / 4 * 4, depth_done = depth;
            for (int64_t k = 0; k < depth; ++k)
                for (int64_t unit = 0; unit < n_done; unit += 4)
                    std::memcpy(to + k * width + unit, from + k * depth_stride + unit, 4 * sizeof(Number));
        } else if (depth_stride == 1) {
            n_done = n / 4 * 4, depth_done = depth / 4 * 4;
            for (int64_t first = 0; first < depth_done; first += AT_ONCE)
                for (int64_t unit = 0; unit < n_done; unit += 4)
                    for (int64_t k = first; k < std::min(first + AT_ONCE, depth_done); k += 4)
                        transpose(from + unit * unit_stride + k, unit_stride, to + k * width + unit, width);
        }
    }
    for (int64_t first = 0; first < depth; first += AT_ONCE)
        for (int64_t unit = first + AT_ONCE <= depth_done ? n_done : 0; unit < n; ++unit)
            for (int64_t k = std::max(first, unit < n_done ? depth_done : 0); k < std::min(first + AT_ONCE, depth); ++k)
                to[k / STEP * STEP * width + unit * STEP + k % STEP] =
                    narrow<Operand>(from[unit * unit_stride + k * depth_stride]);
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
