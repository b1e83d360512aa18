/* heat.h: what the programs of this example share: the files, and the one formula.
 *
 * A plate of nx * ny cells. Some cells are held at their temperature (the edges, the pipes), all
 * others follow their neighbours: explicit finite differences for the heat equation. Serial and
 * parallel programs call the same heat_next() in the same order per cell, so that their results
 * must agree to the last bit.
 *
 * Files, in one directory:
 *   heat.conf          name and value a line: nx, ny, steps, frames, rate
 *   plate.held         nx*ny bytes: 1 where a cell is held
 *   frame-K.grid       one text line, then nx*ny doubles, row by row; K = 0 .. frames-1
 *   residual.tsv       step, largest change in that step, mean temperature
 */
#ifndef HEAT_H
#define HEAT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct heat_conf {
  int nx, ny;  /* cells across and down */
  int steps;   /* in all */
  int frames;  /* snapshots: at step 0, at the last step, and evenly between */
  double rate; /* diffusivity * time step / cell size squared; at most 0.25 */
};

static inline double heat_next(
    double here, double up, double down, double left, double right, double rate) {
  return here + rate * ((up + down) + (left + right) - 4.0 * here);
}

/* The step that frame `k` shows. */
static inline int heat_frame_step(const struct heat_conf* c, int k) {
  return c->frames < 2 ? c->steps : (int)((long)c->steps * k / (c->frames - 1));
}

/* Says what failed on which file and ends the program. */
static inline void heat_die(const char* what, const char* path) {
  fprintf(stderr, "heat: cannot %s %s\n", what, path);
  exit(1);
}

static inline FILE* heat_open(const char* path, const char* mode) {
  FILE* f = fopen(path, mode);
  if (!f) heat_die(mode[0] == 'r' ? "read" : "write", path);
  return f;
}

/* A full disk shows when a file is closed at the latest. */
static inline void heat_close(FILE* f, const char* path) {
  const int bad = ferror(f);
  if (fclose(f) != 0 || bad) heat_die("write", path);
}

static inline void* heat_alloc(size_t count, size_t size) {
  void* p = calloc(count, size);
  if (!p) {
    fprintf(stderr, "heat: out of memory\n");
    exit(1);
  }
  return p;
}

static inline void heat_write_conf(const struct heat_conf* c) {
  FILE* f = heat_open("heat.conf", "w");
  fprintf(f, "nx %d\nny %d\nsteps %d\nframes %d\nrate %.17g\n", c->nx, c->ny, c->steps, c->frames,
          c->rate);
  heat_close(f, "heat.conf");
}

static inline struct heat_conf heat_read_conf(void) {
  struct heat_conf c;
  FILE* f = heat_open("heat.conf", "r");
  if (fscanf(f, "nx %d ny %d steps %d frames %d rate %lf", &c.nx, &c.ny, &c.steps, &c.frames,
             &c.rate) != 5 ||
      c.nx < 3 || c.ny < 3 || c.nx > 100000 || c.ny > 100000 || c.steps < 1 || c.frames < 1 ||
      c.frames > 1000) {
    heat_die("understand", "heat.conf");
  }
  fclose(f);
  return c;
}

static inline void heat_frame_name(char name[32], int k) { snprintf(name, 32, "frame-%d.grid", k); }

static inline void heat_write_frame(const struct heat_conf* c, int k, const double* cells) {
  char name[32];
  heat_frame_name(name, k);
  FILE* f = heat_open(name, "wb");
  fprintf(f, "heat %d %d step %d\n", c->nx, c->ny, heat_frame_step(c, k));
  fwrite(cells, sizeof *cells, (size_t)c->nx * (size_t)c->ny, f);
  heat_close(f, name);
}

/* The cells of frame `k`, to be freed. */
static inline double* heat_read_frame(const struct heat_conf* c, int k) {
  char name[32], line[64];
  int nx, ny, step;
  heat_frame_name(name, k);
  FILE* f = heat_open(name, "rb");
  const size_t count = (size_t)c->nx * (size_t)c->ny;
  double* cells = heat_alloc(count, sizeof *cells);
  if (!fgets(line, sizeof line, f) || sscanf(line, "heat %d %d step %d", &nx, &ny, &step) != 3 ||
      nx != c->nx || ny != c->ny || step != heat_frame_step(c, k) ||
      fread(cells, sizeof *cells, count, f) != count || fgetc(f) != EOF) {
    heat_die("understand", name);
  }
  fclose(f);
  return cells;
}

static inline void heat_write_held(const struct heat_conf* c, const unsigned char* held) {
  FILE* f = heat_open("plate.held", "wb");
  fwrite(held, 1, (size_t)c->nx * (size_t)c->ny, f);
  heat_close(f, "plate.held");
}

static inline unsigned char* heat_read_held(const struct heat_conf* c) {
  const size_t count = (size_t)c->nx * (size_t)c->ny;
  unsigned char* held = heat_alloc(count, 1);
  FILE* f = heat_open("plate.held", "rb");
  if (fread(held, 1, count, f) != count) heat_die("understand", "plate.held");
  fclose(f);
  return held;
}

#endif
