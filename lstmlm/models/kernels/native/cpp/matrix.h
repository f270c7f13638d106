// A matrix laid out for products with a few rows at a time, and the loop over such products.
#pragma once

#include "product.h"
#include "threads.h"

namespace lstmlm {

// What the registers hold at once: a few rows, and at most two panels of as many units as a vector has lanes.
struct Tile {
    int64_t row, n_rows, panel, n_panels, unit, n_units;
};

// Call `work` for all tiles, all rows of a panel before the next panel: what is large is read once.
template <class Real, class Work> void for_each_tile(Range rows, Range panels, int64_t n_units, Work work) {
    const int64_t n_rows = rows.last - rows.first, n_blocks = (n_rows + MAX_ROWS - 1) / MAX_ROWS;
    for (int64_t panel = panels.first; panel < panels.last; panel += 2) {
        const int64_t n_panels = std::min<int64_t>(2, panels.last - panel), unit = panel * LANES<Real>;
        for (int64_t block = 0; block < n_blocks; ++block) {
            const Range some = share(n_rows, block, n_blocks);
            work(Tile{rows.first + some.first, some.last - some.first, panel, n_panels, unit,
                      std::min(n_panels * LANES<Real>, n_units - unit)});
        }
    }
}

// A matrix (units, depth) and its copy in panels, which threads write together before they use it.
template <class Operand, class Real> class Matrix {
    static constexpr int64_t LANE = LANES<Real>;

    const Real* from;
    int64_t unit_stride, depth_stride;
    Room<Operand> panels;

  public:
    int64_t n_units, depth, n_panels, panel_size;

    // Of the numbers from[unit * unit_stride + k * depth_stride].
    Matrix(const Real* numbers, int64_t units, int64_t of_depth, int64_t by_unit, int64_t by_depth)
        : from(numbers), unit_stride(by_unit), depth_stride(by_depth), n_units(units), depth(of_depth),
          n_panels(parts(units, LANE)), panel_size(steps<Operand>(of_depth) * DEPTH<Operand> * LANE) {
        panels = room_for<Operand>(n_panels * panel_size);
    }

    // Copy this thread's share of the panels.
    void pack(const Place& place) {
        const Range mine = place.share_of(n_panels);
        for (int64_t panel = mine.first; panel < mine.last; ++panel)
            lstmlm::pack(from + panel * LANE * unit_stride, unit_stride, depth_stride,
                         std::min(LANE, n_units - panel * LANE), LANE, depth, panels.get() + panel * panel_size);
    }

    const Operand* panel(int64_t index) const { return panels.get() + index * panel_size; }

    // The product of a tile's rows, the first of which is given.
    void multiply(const Tile& tile, const Operand* row, int64_t stride, Sums<Real>& sums) const {
        multiply_few<Operand, Real, false>(int(tile.n_rows), int(tile.n_panels), row, stride,
                                           panel(tile.panel), panel_size, depth, sums);
    }

    // The product of many rows, `stride` apart (`first` is row 0): work(row, unit, n_units, sums) for each part.
    template <class Work> void multiply_all(Range rows, const Operand* first, int64_t stride, Work work) const {
        alignas(64) Sums<Real> sums;
        for_each_tile<Real>(rows, {0, n_panels}, n_units, [&](const Tile& tile) {
            multiply(tile, first + tile.row * stride, stride, sums);
            for (int64_t r = 0; r < tile.n_rows; ++r) work(tile.row + r, tile.unit, tile.n_units, sums[r]);
        });
    }
};

}  // namespace lstmlm
