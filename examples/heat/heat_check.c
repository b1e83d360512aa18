/* heat_check: solves the same plate on one core and compares each frame. Prints the largest
 * difference; exit code 1 if any cell of any frame differs at all. */
#include "heat.h"

static double largest_difference(const double* a, const double* b, size_t count) {
  double largest = 0.0;
  for (size_t i = 0; i < count; ++i) {
    const double difference = a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    /* Not a number differs from everything. */
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

int main(void) {
  const struct heat_conf c = heat_read_conf();
  const size_t count = (size_t)c.nx * (size_t)c.ny, w = (size_t)c.nx;
  unsigned char* held = heat_read_held(&c);
  double* now = heat_read_frame(&c, 0);
  double* next = heat_alloc(count, sizeof *next);
  int right = 1;

  /* The plate's edge is held, so that every other cell has four neighbours. */
  for (size_t i = 0; i < count; ++i) {
    const size_t x = i % w, y = i / w;
    if ((x == 0 || y == 0 || x == w - 1 || y == (size_t)c.ny - 1) && !held[i]) {
      fprintf(stderr, "heat_check: the edge of the plate is not held\n");
      return 1;
    }
  }
  int frame = 1;
  for (int n = 1; n <= c.steps; ++n) {
    for (size_t i = 0; i < count; ++i) {
      next[i] = held[i] ? now[i]
                        : heat_next(now[i], now[i - w], now[i + w], now[i - 1], now[i + 1], c.rate);
    }
    double* swap = now;
    now = next;
    next = swap;
    while (frame < c.frames && heat_frame_step(&c, frame) == n) {
      double* parallel = heat_read_frame(&c, frame);
      const double difference = largest_difference(now, parallel, count);
      const int same = memcmp(now, parallel, count * sizeof *now) == 0;
      printf("frame %d, step %d: largest difference %g%s\n", frame, n, difference,
             same ? ", equal to the last bit" : "  WRONG");
      right &= same;
      free(parallel);
      ++frame;
    }
  }
  printf("%s\n", right ? "the parallel solution is right" : "the parallel solution is WRONG");
  free(held);
  free(now);
  free(next);
  return right ? 0 : 1;
}
