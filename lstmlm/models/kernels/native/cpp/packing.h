// Packing: operands copied into the order in which the registers read them; product.h has the picture.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <type_traits>

#include "arithmetic.h"

namespace lstmlm {

// Rooms that a thread has given up and keeps for its next calls, by size: the system clears every page of a new one, which
// takes a small layer as long as a product.
struct Delete {
    void operator()(void* room) const { ::operator delete[](room, std::align_val_t(64)); }
};
inline thread_local std::multimap<size_t, std::unique_ptr<void, Delete>> given_up;
constexpr size_t MOST_GIVEN_UP = 8;

template <class Number> struct GiveUp {
    size_t n_bytes;

    void operator()(Number* room) const {
        given_up.emplace(n_bytes, room);
        if (given_up.size() > MOST_GIVEN_UP) given_up.erase(given_up.begin());
    }
};

// Room for `n` numbers, aligned to lines of the cache.
template <class Number> using Room = std::unique_ptr<Number[], GiveUp<Number>>;
template <class Number> Room<Number> room_for(int64_t n) {
    const size_t n_bytes = std::max<int64_t>(n, 1) * sizeof(Number);
    const auto found = given_up.lower_bound(n_bytes);
    if (found == given_up.end())
        return {static_cast<Number*>(::operator new[](n_bytes, std::align_val_t(64))), {n_bytes}};
    Room<Number> room(static_cast<Number*>(found->second.release()), {found->first});
    given_up.erase(found);
    return room;
}

inline int64_t parts(int64_t n, int64_t of_at_most) { return (n + of_at_most - 1) / of_at_most; }

// How many operands of a row enter one multiplication of a lane, together a word: the instruction for bfloat16 takes pairs.
template <class Operand> constexpr int DEPTH = sizeof(Operand) == 2 ? 2 : 1;
template <class Operand> using Word = std::conditional_t<sizeof(Operand) == 8, uint64_t, uint32_t>;

// How many multiplications of a lane `depth` operands take.
template <class Operand> int64_t steps(int64_t depth) { return parts(depth, DEPTH<Operand>); }

template <class Number, int N> Several<Number, N> several(const void* from) {
    Several<Number, N> numbers;
    std::memcpy(&numbers, from, sizeof numbers);
    return numbers;
}

#ifdef __AVX512BF16__  // the bits of N numbers as bfloat16
template <int N> Several<uint16_t, N> halves(const bfloat16* from) { return several<uint16_t, N>(from); }
template <int N> Several<uint16_t, N> halves(const float* from) {
    static_assert(N == 8);
    return std::bit_cast<Several<uint16_t, N>>(_mm256_cvtneps_pbh(_mm256_loadu_ps(from)));
}
#endif

// N words of one unit, at depths side by side.
template <class Operand, int N, class Number> Several<Word<Operand>, N> along(const Number* from) {
    if constexpr (DEPTH<Operand> == 1)
        return several<Word<Operand>, N>(from);
    else
        return std::bit_cast<Several<Word<Operand>, N>>(halves<2 * N>(from));
}

// A word of each of N units side by side; `next` is their next depth.
template <class Operand, int N, class Number> Several<Word<Operand>, N> across(const Number* from, const Number* next) {
    if constexpr (DEPTH<Operand> == 1)
        return several<Word<Operand>, N>(from);
    else
        return __builtin_convertvector(halves<N>(from), Several<uint32_t, N>) |
               __builtin_convertvector(halves<N>(next), Several<uint32_t, N>) << 16;
}

#if __has_builtin(__builtin_shufflevector)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // GCC before 12
#define MIX(a, b, ...) __builtin_shuffle(a, b, Four{__VA_ARGS__})
#endif

// Rows to columns, four words of four rows.
template <class Four> void transpose(const Four (&rows)[4], void* to, int64_t bytes_between) {
    const Four a = MIX(rows[0], rows[1], 0, 4, 1, 5), b = MIX(rows[2], rows[3], 0, 4, 1, 5);
    const Four c = MIX(rows[0], rows[1], 2, 6, 3, 7), d = MIX(rows[2], rows[3], 2, 6, 3, 7);
    const Four columns[4] = {MIX(a, b, 0, 1, 4, 5), MIX(a, b, 2, 3, 6, 7), MIX(c, d, 0, 1, 4, 5), MIX(c, d, 2, 3, 6, 7)};
    for (int i = 0; i < 4; ++i) std::memcpy(static_cast<char*>(to) + i * bytes_between, &columns[i], sizeof(Four));
}
#undef MIX

// Numbers from[unit * unit_stride + k * depth_stride], packed (steps, width, DEPTH), with zeros beyond `n` units and at
// an odd end of the depth. Several at a time where they lie side by side, the last of them once more if need be.
template <class Operand, class Number>
void pack(const Number* from, int64_t unit_stride, int64_t depth_stride, int64_t n, int64_t width, int64_t depth,
          Operand* to) {
    constexpr int64_t STEP = DEPTH<Operand>, AT_ONCE = 16, MANY = VECTOR_BYTES == 64 ? 8 : 4;
    const int64_t n_whole = depth / STEP;
    if (n < width || depth % STEP) std::fill_n(to, steps<Operand>(depth) * STEP * width, Operand{});
    int64_t done = 0;
    if (unit_stride == 1 && n >= MANY) {
        for (; done < n_whole; ++done)
            for (int64_t i = 0; i < n; i += MANY) {
                const int64_t unit = std::min(i, n - MANY);
                const Number* const first = from + done * STEP * depth_stride + unit;
                const auto words = across<Operand, MANY>(first, first + depth_stride);
                std::memcpy(to + (done * width + unit) * STEP, &words, sizeof words);
            }
    } else if (depth_stride == 1 && n >= 4 && n_whole >= 4) {
        for (; done < n_whole; done += AT_ONCE)  // a line or two of the cache of every unit
            for (int64_t i = 0; i < n; i += 4)
                for (int64_t j = done; j < std::min(done + AT_ONCE, n_whole); j += 4) {
                    const int64_t unit = std::min(i, n - 4), step = std::min(j, n_whole - 4);
                    const Number* const first = from + unit * unit_stride + step * STEP;
                    transpose({along<Operand, 4>(first), along<Operand, 4>(first + unit_stride),
                               along<Operand, 4>(first + 2 * unit_stride), along<Operand, 4>(first + 3 * unit_stride)},
                              to + (step * width + unit) * STEP, width * STEP * sizeof(Operand));
                }
    }
    for (int64_t k = std::min(done, n_whole) * STEP; k < depth; ++k)
        for (int64_t unit = 0; unit < n; ++unit)
            to[(k / STEP * width + unit) * STEP + k % STEP] = narrow<Operand>(from[unit * unit_stride + k * depth_stride]);
}

}  // namespace lstmlm
