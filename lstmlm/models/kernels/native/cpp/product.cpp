// C = A B, or C += A B, of matrices of any size that lie in memory any way; product.h has the picture.

#include "product.h"
#include "threads.h"

namespace lstmlm {

// What `Product` in models/kernels/native/__init__.py fills in. Number (i, j) of a matrix lies i row strides and j column
// strides from its first.
struct Product {
    int64_t n_rows, n_columns, depth, n_threads;
    int64_t left_row, left_column, right_row, right_column, out_row;  // strides; the result's columns lie side by side
    int64_t add;        // whether the product is added to what the result holds
    const void* left;   // (rows, depth) Operand
    const void* right;  // (depth, columns) Operand
    void* out;          // (rows, columns) Real
};

// How deep a block is, how many rows of it are packed together, and how many columns: see the picture.
constexpr int64_t DEPTH_AT_ONCE = 768, ROWS_AT_ONCE = 96, COLUMNS_AT_ONCE = 1024;

// One thread's part of a product.
template <class Operand, class Real> class Multiplication {
    static constexpr int64_t LANE = LANES<Real>;

    const Product& p;
    const Place& place;
    const Range rows = share(p.n_rows, place.row_group, place.n_row_groups);
    const Operand* const left = static_cast<const Operand*>(p.left);
    const Operand* const right = static_cast<const Operand*>(p.right);
    const Room<Operand> packed_rows = room_for<Operand>(ROWS_AT_ONCE * (DEPTH_AT_ONCE + 1));

  public:
    Multiplication(const Product& product, const Place& of_thread) : p(product), place(of_thread) {}

    // Columns of one block, for all rows of this thread; `panels` has room for them.
    void add_block(Range columns, Range depth, Operand* panels) const {
        const int64_t n_columns = columns.last - columns.first, n_panels = parts(n_columns, LANE);
        const int64_t length = depth.last - depth.first, panel_size = steps<Operand>(length) * DEPTH<Operand> * LANE;
        const Range mine = place.share_of(n_panels);
        for (int64_t panel = mine.first; panel < mine.last; ++panel) {
            const int64_t column = columns.first + panel * LANE;
            pack(right + depth.first * p.right_row + column * p.right_column, p.right_column, p.right_row,
                 std::min(LANE, columns.last - column), LANE, length, panels + panel * panel_size);
        }
        wait();
        const Range some = share(n_panels, place.unit_group, place.n_unit_groups);
        const int64_t n_rows = rows.last - rows.first, n_blocks = parts(n_rows, ROWS_AT_ONCE);
        for (int64_t block = 0; block < n_blocks; ++block) {
            const Range part = share(n_rows, block, n_blocks);
            multiply_rows({rows.first + part.first, rows.first + part.last}, depth, columns, some, panels, panel_size);
        }
    }

  private:
    void multiply_rows(Range block, Range depth, Range columns, Range some_panels, const Operand* panels,
                       int64_t panel_size) const {
        const int64_t length = depth.last - depth.first, row_size = steps<Operand>(length) * DEPTH<Operand>;
        const int64_t n_rows = block.last - block.first, n_tiles = parts(n_rows, MAX_ROWS);
        for (int64_t tile = 0; tile < n_tiles; ++tile) {
            const Range part = share(n_rows, tile, n_tiles);
            const int64_t n = part.last - part.first;
            pack(left + (block.first + part.first) * p.left_row + depth.first * p.left_column, p.left_row, p.left_column,
                 n, n, length, &packed_rows[part.first * row_size]);
        }
        alignas(64) Sums<Real> sums;
        for (int64_t panel = some_panels.first; panel < some_panels.last; panel += 2) {
            const int64_t n_panels = std::min<int64_t>(2, some_panels.last - panel);
            const int64_t column = columns.first + panel * LANE, n = std::min(n_panels * LANE, columns.last - column);
            for (int64_t tile = 0; tile < n_tiles; ++tile) {
                const Range part = share(n_rows, tile, n_tiles);
                const int n_few = int(part.last - part.first);
                Real* const out = static_cast<Real*>(p.out) + (block.first + part.first) * p.out_row + column;
                for (int row = 0; row < n_few; ++row)  // while it is computed
                    fetch(out + row * p.out_row, n);
                multiply_few<Operand, Real, true>(n_few, int(n_panels), &packed_rows[part.first * row_size], 0,
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
};

template <class Operand, class Real> void multiply_all(const Product& p) {
    const int64_t n_deep = std::max<int64_t>(1, parts(p.depth, DEPTH_AT_ONCE)), n_wide = parts(p.n_columns, COLUMNS_AT_ONCE);
    // The same cuts at multiples of DEPTH for everyone; two rooms, so that a thread packs the next block while another
    // still reads the last.
    const int64_t depth = parts(parts(p.depth, n_deep), DEPTH<Operand>) * DEPTH<Operand>;
    const int64_t size = (std::min(COLUMNS_AT_ONCE, p.n_columns) + LANES<Real>) * depth;
    const Room<Operand> panels[2] = {room_for<Operand>(size), room_for<Operand>(size)};
    in_parallel(p.n_threads, p.n_rows, [&](const Place& place) {
        const Multiplication<Operand, Real> mine(p, place);
        int turn = 0;
        for (int64_t wide = 0; wide < n_wide; ++wide)
            for (int64_t deep = 0; deep < n_deep; ++deep, turn ^= 1)
                mine.add_block(share(p.n_columns, wide, n_wide),
                               {std::min(deep * depth, p.depth), std::min((deep + 1) * depth, p.depth)},
                               panels[turn].get());
    });
}

}  // namespace lstmlm

extern "C" void product_float32(const lstmlm::Product* p) { lstmlm::multiply_all<float, float>(*p); }
extern "C" void product_float64(const lstmlm::Product* p) { lstmlm::multiply_all<double, double>(*p); }
