/* heat_solve: the heat equation on all ranks. The plate is cut into blocks, a rank each, in a grid
 * of ranks as square as their number allows; before each step every rank exchanges the edges of its
 * block with its four neighbours. Rank 0 reads the plate, and writes the frames and the residuals.
 */
#include <mpi.h>

#include "heat.h"

enum { kResidualEvery = 50 };
enum { kTagBlock = 1, kTagUp, kTagDown, kTagLeft, kTagRight };

struct block { /* of the whole plate, without halo */
  int x, y, nx, ny;
};

struct solver {
  struct heat_conf conf;
  MPI_Comm grid;
  int rank, size;
  int dims[2];               /* ranks down and across */
  int up, down, left, right; /* neighbours, or MPI_PROC_NULL */
  struct block mine;
  int stride;          /* of a row with its halo: mine.nx + 2 */
  double *now, *next;  /* (mine.ny + 2) rows with halo */
  unsigned char* held; /* the same shape */
  MPI_Datatype column;
};

/* Part `i` of `parts` of `length` cells: as even as possible. */
static void part(int length, int parts, int i, int* first, int* count) {
  *first = (int)((long)length * i / parts);
  *count = (int)((long)length * (i + 1) / parts) - *first;
}

static struct block block_of(const struct solver* s, int rank) {
  int at[2];
  struct block b;
  MPI_Cart_coords(s->grid, rank, 2, at);
  part(s->conf.ny, s->dims[0], at[0], &b.y, &b.ny);
  part(s->conf.nx, s->dims[1], at[1], &b.x, &b.nx);
  return b;
}

/* The block as a part of the whole plate's array. */
static MPI_Datatype type_in_plate(const struct solver* s, struct block b, MPI_Datatype of) {
  const int sizes[2] = {s->conf.ny, s->conf.nx}, subsizes[2] = {b.ny, b.nx}, starts[2] = {b.y, b.x};
  MPI_Datatype type;
  MPI_Type_create_subarray(2, sizes, subsizes, starts, MPI_ORDER_C, of, &type);
  MPI_Type_commit(&type);
  return type;
}

/* The block as a part of its own array, which has a halo of one cell. */
static MPI_Datatype type_in_halo(struct block b, MPI_Datatype of) {
  const int sizes[2] = {b.ny + 2, b.nx + 2}, subsizes[2] = {b.ny, b.nx}, starts[2] = {1, 1};
  MPI_Datatype type;
  MPI_Type_create_subarray(2, sizes, subsizes, starts, MPI_ORDER_C, of, &type);
  MPI_Type_commit(&type);
  return type;
}

/* From rank 0's whole plate to everybody's block, or back. `plate` is used by rank 0 only. */
static void spread(const struct solver* s, const void* plate, void* block, MPI_Datatype of) {
  MPI_Datatype inner = type_in_halo(s->mine, of);
  MPI_Request receive;
  MPI_Irecv(block, 1, inner, 0, kTagBlock, s->grid, &receive);
  for (int rank = 0; s->rank == 0 && rank < s->size; ++rank) {
    MPI_Datatype outer = type_in_plate(s, block_of(s, rank), of);
    MPI_Send(plate, 1, outer, rank, kTagBlock, s->grid);
    MPI_Type_free(&outer);
  }
  MPI_Wait(&receive, MPI_STATUS_IGNORE);
  MPI_Type_free(&inner);
}

static void collect(const struct solver* s, const double* block, double* plate) {
  MPI_Datatype inner = type_in_halo(s->mine, MPI_DOUBLE);
  MPI_Request send;
  MPI_Isend(block, 1, inner, 0, kTagBlock, s->grid, &send);
  for (int rank = 0; s->rank == 0 && rank < s->size; ++rank) {
    MPI_Datatype outer = type_in_plate(s, block_of(s, rank), MPI_DOUBLE);
    MPI_Recv(plate, 1, outer, rank, kTagBlock, s->grid, MPI_STATUS_IGNORE);
    MPI_Type_free(&outer);
  }
  MPI_Wait(&send, MPI_STATUS_IGNORE);
  MPI_Type_free(&inner);
}

static double* cell(const struct solver* s, int y, int x) {
  return s->now + (size_t)y * (size_t)s->stride + (size_t)x;
}

static void exchange_halo(const struct solver* s) {
  const int nx = s->mine.nx, ny = s->mine.ny;
  MPI_Request r[8];
  MPI_Irecv(cell(s, 0, 1), nx, MPI_DOUBLE, s->up, kTagDown, s->grid, &r[0]);
  MPI_Irecv(cell(s, ny + 1, 1), nx, MPI_DOUBLE, s->down, kTagUp, s->grid, &r[1]);
  MPI_Irecv(cell(s, 1, 0), 1, s->column, s->left, kTagRight, s->grid, &r[2]);
  MPI_Irecv(cell(s, 1, nx + 1), 1, s->column, s->right, kTagLeft, s->grid, &r[3]);
  MPI_Isend(cell(s, 1, 1), nx, MPI_DOUBLE, s->up, kTagUp, s->grid, &r[4]);
  MPI_Isend(cell(s, ny, 1), nx, MPI_DOUBLE, s->down, kTagDown, s->grid, &r[5]);
  MPI_Isend(cell(s, 1, 1), 1, s->column, s->left, kTagLeft, s->grid, &r[6]);
  MPI_Isend(cell(s, 1, nx), 1, s->column, s->right, kTagRight, s->grid, &r[7]);
  MPI_Waitall(8, r, MPI_STATUSES_IGNORE);
}

/* One step of this rank's block; the largest change of a cell. */
static double step(struct solver* s) {
  double largest = 0.0;
  exchange_halo(s);
  for (int y = 1; y <= s->mine.ny; ++y) {
    for (int x = 1; x <= s->mine.nx; ++x) {
      const size_t i = (size_t)y * (size_t)s->stride + (size_t)x, w = (size_t)s->stride;
      const double here = s->now[i];
      double then = here;
      if (!s->held[i]) {
        then = heat_next(here, s->now[i - w], s->now[i + w], s->now[i - 1], s->now[i + 1],
                         s->conf.rate);
      }
      const double change = then > here ? then - here : here - then;
      if (change > largest) largest = change;
      s->next[i] = then;
    }
  }
  double* swap = s->now;
  s->now = s->next;
  s->next = swap;
  return largest;
}

static double sum_of_block(const struct solver* s) {
  double sum = 0.0;
  for (int y = 1; y <= s->mine.ny; ++y) {
    for (int x = 1; x <= s->mine.nx; ++x) sum += *cell(s, y, x);
  }
  return sum;
}

static void write_residual(const struct solver* s, FILE* table, int n, double largest) {
  double all_largest = 0.0, all_sum = 0.0, sum = sum_of_block(s);
  MPI_Reduce(&largest, &all_largest, 1, MPI_DOUBLE, MPI_MAX, 0, s->grid);
  MPI_Reduce(&sum, &all_sum, 1, MPI_DOUBLE, MPI_SUM, 0, s->grid);
  if (s->rank != 0) return;
  fprintf(table, "%d\t%.6e\t%.4f\n", n, all_largest,
          all_sum / ((double)s->conf.nx * (double)s->conf.ny));
}

static void set_up(struct solver* s, const unsigned char* held, const double* plate) {
  const int periods[2] = {0, 0};
  MPI_Comm_size(MPI_COMM_WORLD, &s->size);
  s->dims[0] = s->dims[1] = 0;
  MPI_Dims_create(s->size, 2, s->dims);
  /* Ranks keep their numbers: rank 0 has read the files. */
  MPI_Cart_create(MPI_COMM_WORLD, 2, s->dims, periods, 0, &s->grid);
  MPI_Cart_shift(s->grid, 0, 1, &s->up, &s->down);
  MPI_Cart_shift(s->grid, 1, 1, &s->left, &s->right);
  s->mine = block_of(s, s->rank);
  if (s->mine.nx < 1 || s->mine.ny < 1) {
    fprintf(stderr, "heat_solve: more ranks than rows or columns\n");
    MPI_Abort(s->grid, 1);
  }
  s->stride = s->mine.nx + 2;
  const size_t cells = (size_t)s->stride * (size_t)(s->mine.ny + 2);
  s->now = heat_alloc(cells, sizeof *s->now);
  s->next = heat_alloc(cells, sizeof *s->next);
  s->held = heat_alloc(cells, 1);
  MPI_Type_vector(s->mine.ny, 1, s->stride, MPI_DOUBLE, &s->column);
  MPI_Type_commit(&s->column);
  spread(s, plate, s->now, MPI_DOUBLE);
  spread(s, held, s->held, MPI_UNSIGNED_CHAR);
}

int main(int argc, char** argv) {
  struct solver s;
  double* plate = NULL;
  unsigned char* held = NULL;
  FILE* table = NULL;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &s.rank);
  if (s.rank == 0) {
    s.conf = heat_read_conf();
    plate = heat_read_frame(&s.conf, 0);
    held = heat_read_held(&s.conf);
    table = heat_open("residual.tsv", "w");
    fprintf(table, "step\tlargest_change\tmean_temperature\n");
  }
  MPI_Bcast(&s.conf, sizeof s.conf, MPI_BYTE, 0, MPI_COMM_WORLD);
  set_up(&s, held, plate);
  free(held);

  const double began = MPI_Wtime();
  int frame = 1;
  for (int n = 1; n <= s.conf.steps; ++n) {
    const double largest = step(&s);
    if (n % kResidualEvery == 0 || n == s.conf.steps) write_residual(&s, table, n, largest);
    while (frame < s.conf.frames && heat_frame_step(&s.conf, frame) == n) {
      collect(&s, s.now, plate);
      if (s.rank == 0) heat_write_frame(&s.conf, frame, plate);
      ++frame;
    }
  }
  if (s.rank == 0) {
    heat_close(table, "residual.tsv");
    printf("%d steps by %d ranks (%d x %d) in %.2f s\n", s.conf.steps, s.size, s.dims[0], s.dims[1],
           MPI_Wtime() - began);
  }
  MPI_Type_free(&s.column);
  MPI_Comm_free(&s.grid);
  free(s.now);
  free(s.next);
  free(s.held);
  free(plate);
  MPI_Finalize();
  return 0;
}
