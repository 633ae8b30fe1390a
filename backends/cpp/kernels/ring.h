// Images whose buffer keeps only the last few rows: row r of `ring` kept ones lies at r % ring; ring 0 keeps all.
// needs: vec
namespace {

// The longest run of rows from `row` that no ring of the three wraps.
MC_INLINE int rows_until_wrap(int row, int end, int a, int b, int c) {
  int n = end - row;
  if (a) n = imin(n, a - row % a);
  if (b) n = imin(n, b - row % b);
  if (c) n = imin(n, c - row % c);
  return n;
}
MC_INLINE size_t ring_row(int row, int ring) { return (size_t)(ring ? row % ring : row); }

}  // namespace
