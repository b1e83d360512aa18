/* heat_assemble: puts the rendered frames onto one sheet, heat.png, and what is to be said about
 * each into a table, heat.txt. */
#include "picture.h"

int main(void) {
  enum { kAcross = 3, kGap = 8 };
  const struct heat_conf c = heat_read_conf();
  const int down = (c.frames + kAcross - 1) / kAcross;
  struct picture sheet = {0, 0, NULL};
  FILE* table = heat_open("heat.txt", "w");
  fprintf(table, "frame   step  coldest  hottest    mean\n");
  for (int k = 0; k < c.frames; ++k) {
    char name[32];
    snprintf(name, sizeof name, "frame-%d.png", k);
    struct picture frame = picture_read(name);
    if (k == 0) {
      sheet = picture_new(kAcross * (frame.width + kGap) + kGap,
                          down * (frame.height + kGap) + kGap, kGrey);
    }
    const int left = kGap + k % kAcross * (frame.width + kGap);
    const int top = kGap + k / kAcross * (frame.height + kGap);
    for (int y = 0; y < frame.height; ++y) {
      for (int x = 0; x < frame.width; ++x) {
        picture_set(&sheet, left + x, top + y,
                    frame.pixels[(size_t)y * (size_t)frame.width + (size_t)x]);
      }
    }
    free(frame.pixels);

    double *cells = heat_read_frame(&c, k), sum = 0.0;
    double coldest = cells[0], hottest = cells[0];
    const size_t count = (size_t)c.nx * (size_t)c.ny;
    for (size_t i = 0; i < count; ++i) {
      sum += cells[i];
      if (cells[i] < coldest) coldest = cells[i];
      if (cells[i] > hottest) hottest = cells[i];
    }
    free(cells);
    fprintf(table, "%5d  %5d  %7.3f  %7.3f  %6.3f\n", k, heat_frame_step(&c, k), coldest, hottest,
            sum / (double)count);
  }
  heat_close(table, "heat.txt");
  picture_write(&sheet, "heat.png");
  printf("heat.png: %d x %d, heat.txt: %d lines\n", sheet.width, sheet.height, c.frames + 1);
  free(sheet.pixels);
  return 0;
}
