/* heat_prepare [NX NY STEPS FRAMES]: makes the plate and writes it and the parameters into the
 * current directory: a warm plate with cold edges, two hot pipes and a cold one. */
#include "heat.h"

struct disc {
  double x, y, radius; /* in units of the plate's height */
  double temperature;
};

int main(int argc, char** argv) {
  struct heat_conf c = {.nx = 320, .ny = 240, .steps = 2000, .frames = 6, .rate = 0.24};
  if (argc != 1 && argc != 5) {
    fprintf(stderr, "usage: heat_prepare [NX NY STEPS FRAMES]\n");
    return 64;
  }
  if (argc == 5) {
    c.nx = atoi(argv[1]);
    c.ny = atoi(argv[2]);
    c.steps = atoi(argv[3]);
    c.frames = atoi(argv[4]);
  }
  if (c.nx < 3 || c.ny < 3 || c.steps < 1 || c.frames < 2 || c.frames > 100) {
    fprintf(stderr, "heat_prepare: at least 3 x 3 cells, 1 step and 2 frames (at most 100)\n");
    return 64;
  }

  const struct disc discs[] = {
      {0.33, 0.35, 0.14, 100.0}, {0.95, 0.62, 0.20, 80.0}, {0.62, 0.28, 0.10, 0.0}};
  const size_t count = (size_t)c.nx * (size_t)c.ny;
  double* cells = heat_alloc(count, sizeof *cells);
  unsigned char* held = heat_alloc(count, 1);
  for (int y = 0; y < c.ny; ++y) {
    for (int x = 0; x < c.nx; ++x) {
      const size_t i = (size_t)y * (size_t)c.nx + (size_t)x;
      cells[i] = 20.0;
      if (x == 0 || y == 0 || x == c.nx - 1 || y == c.ny - 1) {
        cells[i] = 0.0;
        held[i] = 1;
      }
      for (size_t d = 0; d < sizeof discs / sizeof discs[0]; ++d) {
        const double dx = (double)x / c.ny - discs[d].x, dy = (double)y / c.ny - discs[d].y;
        if (dx * dx + dy * dy <= discs[d].radius * discs[d].radius) {
          cells[i] = discs[d].temperature;
          held[i] = 1;
        }
      }
    }
  }
  heat_write_conf(&c);
  heat_write_held(&c, held);
  heat_write_frame(&c, 0, cells);
  printf("plate of %d x %d cells, %d steps, %d frames\n", c.nx, c.ny, c.steps, c.frames);
  free(cells);
  free(held);
  return 0;
}
