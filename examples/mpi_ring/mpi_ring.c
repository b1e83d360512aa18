/* mpi_ring: who am I, do sums over all ranks come out right, and does a block of bytes come round
 * the ring of all ranks unharmed?
 *
 *   mpi_ring [--bytes N] [--rounds N] [--abort RANK:CODE] [--kill RANK] [--sleep SECONDS]
 *
 * Each rank prints one line; rank 0 one more at the end. Exit code 0 if all is right, 1 if not.
 * --abort: that rank calls MPI_Abort(CODE) after the sums. --kill: that rank kills itself with
 * SIGKILL instead. --sleep: all ranks wait before the ring.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
  int bytes;
  int rounds;
  int abort_rank;
  int abort_code;
  int kill_rank;
  int sleep_seconds;
};

static int usage(void) {
  fprintf(stderr,
          "usage: mpi_ring [--bytes N] [--rounds N] [--abort RANK:CODE] [--kill RANK] "
          "[--sleep SECONDS]\n");
  return 64;
}

static int parse(int argc, char** argv, struct options* o) {
  for (int i = 1; i < argc; i += 2) {
    const char* value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!value) return 0;
    if (strcmp(argv[i], "--bytes") == 0) {
      o->bytes = atoi(value);
    } else if (strcmp(argv[i], "--rounds") == 0) {
      o->rounds = atoi(value);
    } else if (strcmp(argv[i], "--kill") == 0) {
      o->kill_rank = atoi(value);
    } else if (strcmp(argv[i], "--sleep") == 0) {
      o->sleep_seconds = atoi(value);
    } else if (strcmp(argv[i], "--abort") == 0) {
      if (sscanf(value, "%d:%d", &o->abort_rank, &o->abort_code) != 2) return 0;
    } else {
      return 0;
    }
  }
  return o->bytes > 0 && o->rounds > 0;
}

/* The byte at `i` before the block has visited anyone. */
static unsigned char pattern(int i) { return (unsigned char)(i * 31 + i / 4096); }

/* Sends the block round once; every rank adds one to each byte. Returns 0 if a byte is wrong. */
static int ring(unsigned char* block, int bytes, int rank, int size, int round) {
  const int to = (rank + 1) % size, from = (rank + size - 1) % size;
  if (size == 1) return 1;
  if (rank == 0) MPI_Send(block, bytes, MPI_BYTE, to, round, MPI_COMM_WORLD);
  MPI_Recv(block, bytes, MPI_BYTE, from, round, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  /* Visited before: every rank in each earlier round, and ranks 1 to rank-1 in this one. */
  const int visits = round * size + (rank == 0 ? size - 1 : rank - 1);
  for (int i = 0; i < bytes; ++i) {
    if (block[i] != (unsigned char)(pattern(i) + visits)) return 0;
    ++block[i];
  }
  if (rank != 0) MPI_Send(block, bytes, MPI_BYTE, to, round, MPI_COMM_WORLD);
  return 1;
}

int main(int argc, char** argv) {
  struct options o = {.bytes = 1 << 20,
                      .rounds = 1,
                      .abort_rank = -1,
                      .abort_code = 0,
                      .kill_rank = -1,
                      .sleep_seconds = 0};
  if (!parse(argc, argv, &o)) return usage();
  MPI_Init(&argc, &argv);
  int rank, size, local_rank, local_size;
  char host[256] = "";
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  gethostname(host, sizeof host - 1);
  MPI_Comm local;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank);
  MPI_Comm_size(local, &local_size);
  MPI_Comm_free(&local);

  int mine = rank + 1, sum = 0;
  MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  int good = sum == size * (size + 1) / 2;
  printf("rank %d of %d on %s, local rank %d of %d, sum %d %s\n", rank, size, host, local_rank,
         local_size, sum, good ? "right" : "WRONG");
  fflush(stdout);

  if (rank == o.abort_rank) MPI_Abort(MPI_COMM_WORLD, o.abort_code);
  if (rank == o.kill_rank) raise(SIGKILL);
  if (o.sleep_seconds > 0) sleep((unsigned)o.sleep_seconds);

  unsigned char* block = malloc((size_t)o.bytes);
  if (!block) MPI_Abort(MPI_COMM_WORLD, 71);
  for (int i = 0; i < o.bytes; ++i) block[i] = pattern(i);
  for (int round = 0; round < o.rounds; ++round) good &= ring(block, o.bytes, rank, size, round);
  free(block);

  int all_good = 0;
  MPI_Allreduce(&good, &all_good, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("ring of %d ranks, %d bytes, %d rounds: %s\n", size, o.bytes, o.rounds,
           all_good ? "right" : "WRONG");
  }
  MPI_Finalize();
  return all_good ? 0 : 1;
}
