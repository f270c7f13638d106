// C = A B, or C += A B, of matrices of any size that lie in memory any way; product.h has the picture.
#pragma once

#include "product.h"
#include "threads.h"

namespace lstmlm {

// What `Product` in models/kernels/native/__init__.py fills in. Number (i, j) of a matrix lies i row strides and j column
// strides from its first.
struct Product {
    int64_t n_rows, n_columns, depth, n_threads;
    int64_t left_row, left_column, right_row, right_column, out_row;  // strides; the result's columns lie side by side
    int64_t add;        // whether the product is added to what the result holds
    const void* left;   // (rows, depth), rounded to Operand as it is packed
    const void* right;  // (depth, columns), likewise
    void* out;          // (rows, columns)
};

// How deep a block is, how many rows of it are packed together, and how many columns: see the picture.
template <class Operand> constexpr int64_t DEPTH_AT_ONCE = 768 * DEPTH<Operand>;
constexpr int64_t ROWS_AT_ONCE = 96, COLUMNS_AT_ONCE = 1024;

// A product of matrices of the types Left and Right, computed by all threads of a region together.
template <class Operand, class Real, class Left, class Right, class Out> class Multiplication {
    static constexpr int64_t LANE = LANES<Real>;

    const Product p;
    const int64_t n_wide = parts(p.n_columns, COLUMNS_AT_ONCE);
    // What is rounded as it is written cannot be added to.
    const int64_t n_deep = std::is_same_v<Out, Real> ? std::max<int64_t>(1, parts(p.depth, DEPTH_AT_ONCE<Operand>)) : 1;
    // The same cuts at multiples of DEPTH for everyone.
    const int64_t depth_at_once = steps<Operand>(parts(p.depth, n_deep)) * DEPTH<Operand>;
    // Two rooms, so that a thread packs the next block while another still reads the last.
    const int64_t size = (std::min(COLUMNS_AT_ONCE, p.n_columns) + LANE) * depth_at_once;
    const Room<Operand> rooms[2] = {room_for<Operand>(size), room_for<Operand>(n_wide * n_deep > 1 ? size : 0)};
    // Of every block: panels to be packed, and rows to be multiplied.
    struct Queues {
        Queue panels, rows;
    };
    const std::unique_ptr<Queues[]> queues = std::make_unique<Queues[]>(n_wide * n_deep);

  public:
    explicit Multiplication(const Product& product) : p(product) {}

    // What a thread comes to; afterwards others may still be at work.
    void run(const Place& place) const {
        const Room<Operand> packed_rows = room_for<Operand>(ROWS_AT_ONCE * depth_at_once);
        int64_t turn = 0;
        for (int64_t wide = 0; wide < n_wide; ++wide)
            for (int64_t deep = 0; deep < n_deep; ++deep, ++turn)
                add_block(place, share(p.n_columns, wide, n_wide),
                          {std::min(deep * depth_at_once, p.depth), std::min((deep + 1) * depth_at_once, p.depth)},
                          queues[turn], rooms[turn % 2].get(), packed_rows.get());
    }

  private:
    // Columns of one block; `panels` and `packed_rows` have room for them and for some rows.
    void add_block(const Place& place, Range columns, Range depth, Queues& queue, Operand* panels,
                   Operand* packed_rows) const {
        const int64_t n_columns = columns.last - columns.first, n_panels = parts(n_columns, LANE);
        const int64_t length = depth.last - depth.first, panel_size = steps<Operand>(length) * DEPTH<Operand> * LANE;
        queue.panels.take(n_panels, place, [&](int64_t panel) {
            const int64_t column = columns.first + panel * LANE;
            pack(static_cast<const Right*>(p.right) + depth.first * p.right_row + column * p.right_column,
                 p.right_column, p.right_row, std::min(LANE, columns.last - column), LANE, length, panels + panel * panel_size);
        });
        wait();
        const int64_t n_blocks = parts(parts(p.n_rows, ROWS_AT_ONCE), place.n_row_groups) * place.n_row_groups;
        queue.rows.take(n_blocks * place.n_unit_groups, place, [&](int64_t part) {
            multiply_rows(share(p.n_rows, part / place.n_unit_groups, n_blocks), depth, columns,
                          share(n_panels, part % place.n_unit_groups, place.n_unit_groups), panels, panel_size, packed_rows);
        });
    }

    void multiply_rows(Range block, Range depth, Range columns, Range some_panels, const Operand* panels,
                       int64_t panel_size, Operand* packed_rows) const {
        const int64_t length = depth.last - depth.first, row_size = steps<Operand>(length) * DEPTH<Operand>;
        const int64_t n_rows = block.last - block.first, n_tiles = parts(n_rows, MAX_ROWS);
        for (int64_t tile = 0; tile < n_tiles; ++tile) {
            const Range part = share(n_rows, tile, n_tiles);
            const int64_t n = part.last - part.first;
            pack(static_cast<const Left*>(p.left) + (block.first + part.first) * p.left_row + depth.first * p.left_column,
                 p.left_row, p.left_column, n, n, length, packed_rows + part.first * row_size);
        }
        alignas(64) Sums<Real> sums;
        for (int64_t panel = some_panels.first; panel < some_panels.last; panel += 2) {
            const int64_t n_panels = std::min<int64_t>(2, some_panels.last - panel);
            const int64_t column = columns.first + panel * LANE, n = std::min(n_panels * LANE, columns.last - column);
            for (int64_t tile = 0; tile < n_tiles; ++tile) {
                const Range part = share(n_rows, tile, n_tiles);
                const int n_few = int(part.last - part.first);
                Out* const out = static_cast<Out*>(p.out) + (block.first + part.first) * p.out_row + column;
                for (int row = 0; row < n_few; ++row)  // while it is computed
                    fetch(out + row * p.out_row, n);
                multiply_few<Operand, Real, true>(n_few, int(n_panels), packed_rows + part.first * row_size, 0,
                                                  panels + panel * panel_size, panel_size, length, sums);
                for (int row = 0; row < n_few; ++row)
                    put(sums[row], n, p.add || depth.first > 0, out + row * p.out_row);
            }
        }
    }

    static void put(const Real* sums, int64_t n, bool add, Real* to) {
        int64_t j = 0;
        for (; j + LANE <= n; j += LANE) {
            const Vector<Real> whole = add ? load<Real>(to + j) + load<Real>(sums + j) : load<Real>(sums + j);
            std::memcpy(to + j, &whole, sizeof whole);
        }
        for (; j < n; ++j) to[j] = add ? to[j] + sums[j] : sums[j];
    }
    static void put(const Real* sums, int64_t n, bool, bfloat16* to) {
        for (int64_t j = 0; j < n; ++j) to[j] = narrow<bfloat16>(sums[j]);
    }
};

}  // namespace lstmlm
