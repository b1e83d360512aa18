/* heat_render K: draws frame K as frame-K.png, 0 to 100 degrees, with lines of equal temperature.
 */
#include "picture.h"

static int band(double temperature) { return (int)(temperature / 10.0); }

int main(int argc, char** argv) {
  char* end = NULL;
  const long k = argc == 2 ? strtol(argv[1], &end, 10) : -1;
  const struct heat_conf c = heat_read_conf();
  if (k < 0 || *end != '\0' || k >= c.frames) {
    fprintf(stderr, "usage: heat_render K, with K from 0 to %d\n", c.frames - 1);
    return 64;
  }
  double* cells = heat_read_frame(&c, (int)k);
  enum { kCaption = 20 };
  struct picture p = picture_new(c.nx, c.ny + kCaption, kBlack);
  for (int y = 0; y < c.ny; ++y) {
    for (int x = 0; x < c.nx; ++x) {
      const double* t = cells + (size_t)y * (size_t)c.nx + (size_t)x;
      double shown = *t < 0 ? 0 : *t > 100 ? 100 : *t;
      /* A line of equal temperature runs between cells of different tens. */
      const int line =
          (x > 0 && band(t[0]) != band(t[-1])) || (y > 0 && band(t[0]) != band(t[-c.nx]));
      if (line) shown *= 0.8;
      picture_set(&p, x, y, (unsigned char)(shown / 100.0 * (kColours - 1)));
    }
  }
  char text[32];
  snprintf(text, sizeof text, "step %d", heat_frame_step(&c, (int)k));
  picture_text(&p, 5, c.ny + 5, 2, kWhite, text);
  snprintf(text, sizeof text, "frame-%ld.png", k);
  picture_write(&p, text);
  printf("%s: %d x %d\n", text, p.width, p.height);
  free(cells);
  free(p.pixels);
  return 0;
}
