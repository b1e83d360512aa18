/* What MPI programs do, with every value checked: mpi_check collectives|onesided|io
 * FILE|spawn|all|hello|ring|many|where|wait|abort|killed.
 *
 * Prints one line, by rank 0: "collectives: right". Anything wrong ends all with code 3 and a line
 * that says what. No library but MPI. */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rank, size;

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) {                                                          \
      fprintf(stderr, "rank %d: line %d: not %s\n", rank, __LINE__, #condition); \
      MPI_Abort(MPI_COMM_WORLD, 3);                                              \
    }                                                                            \
  } while (0)

static void say(const char* what) {
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("%s: right\n", what);
  fflush(stdout);
}

/* A value that every place and rank has for itself. */
static int value(int of, int at) { return of * 1000 + at; }

static void collectives(void) {
  enum { kCount = 100 };
  int i, r;
  int* mine = malloc(sizeof(int) * (size_t)(kCount * size));
  int* all = malloc(sizeof(int) * (size_t)(kCount * size));
  int* counts = malloc(sizeof(int) * (size_t)size);
  int* places = malloc(sizeof(int) * (size_t)size);

  for (r = 0; r < size; ++r) { /* each rank is the root once */
    for (i = 0; i < kCount; ++i) mine[i] = rank == r ? value(r, i) : -1;
    MPI_Bcast(mine, kCount, MPI_INT, r, MPI_COMM_WORLD);
    for (i = 0; i < kCount; ++i) CHECK(mine[i] == value(r, i));
  }

  for (i = 0; i < kCount; ++i) mine[i] = value(rank, i);
  MPI_Reduce(mine, all, kCount, MPI_INT, MPI_SUM, size - 1, MPI_COMM_WORLD);
  if (rank == size - 1) {
    for (i = 0; i < kCount; ++i) CHECK(all[i] == 1000 * size * (size - 1) / 2 + size * i);
  }
  MPI_Allreduce(mine, all, kCount, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  for (i = 0; i < kCount; ++i) CHECK(all[i] == value(size - 1, i));

  memset(all, 0, sizeof(int) * (size_t)(kCount * size));
  MPI_Gather(mine, kCount, MPI_INT, all, kCount, MPI_INT, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    for (r = 0; r < size; ++r)
      for (i = 0; i < kCount; ++i) CHECK(all[r * kCount + i] == value(r, i));
  }
  memset(all, 0, sizeof(int) * (size_t)(kCount * size));
  MPI_Allgather(mine, kCount, MPI_INT, all, kCount, MPI_INT, MPI_COMM_WORLD);
  for (r = 0; r < size; ++r)
    for (i = 0; i < kCount; ++i) CHECK(all[r * kCount + i] == value(r, i));

  /* Rank r gives r + 1 numbers. */
  for (r = 0; r < size; ++r) counts[r] = r + 1, places[r] = r * (r + 1) / 2;
  {
    const int total = size * (size + 1) / 2;
    int* some = malloc(sizeof(int) * (size_t)total);
    MPI_Allgatherv(mine, rank + 1, MPI_INT, some, counts, places, MPI_INT, MPI_COMM_WORLD);
    for (r = 0; r < size; ++r)
      for (i = 0; i <= r; ++i) CHECK(some[places[r] + i] == value(r, i));
    memset(mine, 0, sizeof(int) * (size_t)kCount);
    MPI_Scatterv(some, counts, places, MPI_INT, mine, rank + 1, MPI_INT, 0, MPI_COMM_WORLD);
    for (i = 0; i <= rank; ++i) CHECK(mine[i] == value(rank, i));
    free(some);
  }

  for (r = 0; r < size; ++r) mine[r] = value(rank, r);
  MPI_Alltoall(mine, 1, MPI_INT, all, 1, MPI_INT, MPI_COMM_WORLD);
  for (r = 0; r < size; ++r) CHECK(all[r] == value(r, rank));

  for (r = 0; r < size; ++r) all[r] = value(r, 7);
  MPI_Scatter(all, 1, MPI_INT, mine, 1, MPI_INT, 0, MPI_COMM_WORLD);
  CHECK(mine[0] == value(rank, 7));

  mine[0] = rank + 1;
  MPI_Scan(mine, all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CHECK(all[0] == (rank + 1) * (rank + 2) / 2);
  MPI_Exscan(mine, all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (rank > 0) CHECK(all[0] == rank * (rank + 1) / 2);

  for (r = 0; r < size; ++r) mine[r] = r;
  MPI_Reduce_scatter_block(mine, all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CHECK(all[0] == rank * size);

  { /* what is not waited for at once */
    MPI_Request requests[2];
    MPI_Status statuses[2];
    int sum = 0, one = 1, root = rank == 0 ? 99 : 0;
    MPI_Iallreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD, &requests[0]);
    MPI_Ibcast(&root, 1, MPI_INT, 0, MPI_COMM_WORLD, &requests[1]);
    MPI_Waitall(2, requests, statuses);
    CHECK(sum == size && root == 99);
  }
  { /* halves of the world, and the ranks of a node */
    MPI_Comm half, node;
    int sum, one = 1, node_size;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, half);
    CHECK(sum == (size + 1 - rank % 2) / 2);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &node_size);
    if (getenv("RANKS_OF_NODE")) CHECK(node_size == atoi(getenv("RANKS_OF_NODE")));
    MPI_Comm_free(&half);
    MPI_Comm_free(&node);
  }
  { /* large enough for another way through the library */
    enum { kLarge = 1 << 18 };
    double* many = malloc(sizeof(double) * kLarge);
    double* sums = malloc(sizeof(double) * kLarge);
    for (i = 0; i < kLarge; ++i) many[i] = rank + i % 16;
    MPI_Allreduce(many, sums, kLarge, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    for (i = 0; i < kLarge; ++i) CHECK(sums[i] == size * (size - 1) / 2.0 + size * (i % 16));
    free(many);
    free(sums);
  }
  free(mine), free(all), free(counts), free(places);
  say("collectives");
}

static void onesided(void) {
  MPI_Win win;
  /* Not MPI_Win_allocate: with MPICH 4.0.2 as Debian has it, ranks of a node then write into memory
   * of their own, under its own mpiexec as well. */
  int* memory = malloc(sizeof(int) * (size_t)(size + 1));
  int got, i, one = 1, previous, sum;
  for (i = 0; i <= size; ++i) memory[i] = -1;
  memory[size] = 0;
  MPI_Win_create(memory, (MPI_Aint)sizeof(int) * (size + 1), sizeof(int), MPI_INFO_NULL,
                 MPI_COMM_WORLD, &win);
  MPI_Win_fence(0, win);
  { /* everybody writes its place in everybody's window */
    int mine = value(rank, 1);
    for (i = 0; i < size; ++i) MPI_Put(&mine, 1, MPI_INT, i, rank, 1, MPI_INT, win);
    MPI_Win_fence(0, win);
  }
  for (i = 0; i < size; ++i) CHECK(memory[i] == value(i, 1));
  MPI_Get(&got, 1, MPI_INT, (rank + 1) % size, 0, 1, MPI_INT, win);
  MPI_Win_fence(0, win);
  CHECK(got == value(0, 1));
  for (i = 0; i < size; ++i) MPI_Accumulate(&one, 1, MPI_INT, i, size, 1, MPI_INT, MPI_SUM, win);
  MPI_Win_fence(0, win);
  CHECK(memory[size] == size);
  MPI_Win_fence(0, win);
  /* without the other's help */
  MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
  MPI_Fetch_and_op(&one, &previous, MPI_INT, 0, size, MPI_SUM, win);
  MPI_Win_unlock(0, win);
  MPI_Reduce(&previous, &sum, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) CHECK(sum == size * size + size * (size - 1) / 2);
  MPI_Win_free(&win);
  free(memory);
  say("onesided");
}

static void io(const char* path) {
  enum { kCount = 1000 };
  int numbers[kCount], read[kCount];
  MPI_File file;
  MPI_Offset bytes;
  int i, other = (rank + 1) % size;
  for (i = 0; i < kCount; ++i) numbers[i] = value(rank, i);
  CHECK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL,
                      &file) == MPI_SUCCESS);
  MPI_File_set_view(file, (MPI_Offset)rank * (MPI_Offset)sizeof numbers, MPI_INT, MPI_INT, "native",
                    MPI_INFO_NULL);
  MPI_File_write_all(file, numbers, kCount, MPI_INT, MPI_STATUS_IGNORE);
  MPI_File_sync(file);
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_File_get_size(file, &bytes);
  CHECK(bytes == (MPI_Offset)size * (MPI_Offset)sizeof numbers);
  MPI_File_set_view(file, (MPI_Offset)other * (MPI_Offset)sizeof numbers, MPI_INT, MPI_INT,
                    "native", MPI_INFO_NULL);
  MPI_File_read_all(file, read, kCount, MPI_INT, MPI_STATUS_IGNORE);
  for (i = 0; i < kCount; ++i) CHECK(read[i] == value(other, i));
  MPI_File_close(&file);
  say("io");
}

/* A number goes round, and every rank adds one. */
static void go_round(void) {
  int number = 0;
  const int next = (rank + 1) % size, before = (rank + size - 1) % size;
  if (rank == 0) {
    MPI_Send(&number, 1, MPI_INT, next, 0, MPI_COMM_WORLD);
    MPI_Recv(&number, 1, MPI_INT, before, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    CHECK(number == size - 1);
  } else {
    MPI_Recv(&number, 1, MPI_INT, before, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    ++number;
    MPI_Send(&number, 1, MPI_INT, next, 0, MPI_COMM_WORLD);
  }
}

static void sum_up(void) {
  int sum, one = 1;
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  CHECK(sum == size);
}

/* The node of each rank, in order, on one line. */
static void where(void) {
  enum { kName = 64 };
  char name[MPI_MAX_PROCESSOR_NAME];
  char* names = malloc((size_t)kName * (size_t)size);
  int length, i;
  MPI_Get_processor_name(name, &length);
  name[length < kName ? length : kName - 1] = '\0';
  MPI_Gather(name, kName, MPI_CHAR, names, kName, MPI_CHAR, 0, MPI_COMM_WORLD);
  for (i = 0; rank == 0 && i < size; ++i)
    printf("%s%c", names + i * kName, i + 1 < size ? ' ' : '\n');
  free(names);
  fflush(stdout);
}

static void spawn(const char* self) {
  MPI_Comm children, both;
  int codes[2], sum, merged, one = rank + 1;
  char* args[] = {"child", NULL};
  CHECK(MPI_Comm_spawn(self, args, 2, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &children, codes) ==
        MPI_SUCCESS);
  CHECK(rank != 0 || (codes[0] == MPI_SUCCESS && codes[1] == MPI_SUCCESS));
  MPI_Comm_remote_size(children, &merged);
  CHECK(merged == 2);
  MPI_Intercomm_merge(children, 0, &both);
  MPI_Comm_size(both, &merged);
  CHECK(merged == size + 2);
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, both); /* the children give 100 each */
  CHECK(sum == size * (size + 1) / 2 + 200);
  MPI_Comm_free(&both);
  MPI_Comm_disconnect(&children);
  say("spawn");
}

static int child(void) {
  MPI_Comm parent, both;
  int sum, all, mine = 100;
  MPI_Comm_get_parent(&parent);
  CHECK(parent != MPI_COMM_NULL);
  CHECK(size == 2);
  MPI_Comm_remote_size(parent, &all);
  MPI_Intercomm_merge(parent, 1, &both);
  MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, both);
  CHECK(sum == all * (all + 1) / 2 + 200);
  MPI_Comm_free(&both);
  MPI_Comm_disconnect(&parent);
  MPI_Finalize();
  return 0;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "all";
  const char* path = argc > 2 ? argv[2] : "mpi_check.data";
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (strcmp(what, "child") == 0) return child();
  if (strcmp(what, "collectives") == 0 || strcmp(what, "all") == 0) collectives();
  if (strcmp(what, "onesided") == 0 || strcmp(what, "all") == 0) onesided();
  if (strcmp(what, "io") == 0 || strcmp(what, "all") == 0) io(path);
  if (strcmp(what, "spawn") == 0 || strcmp(what, "all") == 0) spawn(argv[0]);
  if (strcmp(what, "ring") == 0 || strcmp(what, "many") == 0) go_round();
  if (strcmp(what, "hello") == 0 || strcmp(what, "many") == 0) sum_up();
  if (strcmp(what, "ring") == 0 || strcmp(what, "hello") == 0 || strcmp(what, "many") == 0)
    say(what);
  if (strcmp(what, "where") == 0) where();
  if (strcmp(what, "wait") == 0) {
    say("wait");
    for (;;) { /* somebody is in the middle of an exchange all the time */
      MPI_Barrier(MPI_COMM_WORLD);
      usleep(20000);
    }
  }
  if (strcmp(what, "killed") == 0) {
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == size - 1) raise(SIGKILL);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  if (strcmp(what, "abort") == 0) {
    if (rank == size - 1) MPI_Abort(MPI_COMM_WORLD, 42);
    for (;;) pause();
  }
#ifdef MPICH_VERSION
  /* MPICH 4.0.2 over UCX's TCP, as Debian has it, now and then does not come back from
   * MPI_Finalize, under its own mpiexec and on one host as well (UCX_TLS=tcp,self): ranks that have
   * closed their connections wait for PMI's barrier and serve UCX no more, which the last one waits
   * for. What is checked here has been checked. */
  fflush(NULL);
  MPI_Barrier(MPI_COMM_WORLD);
  _exit(0);
#endif
  MPI_Finalize();
  return 0;
}
