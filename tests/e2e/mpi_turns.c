/* mpi_turns: ranks that say when they have run.
 *
 *   mpi_turns SECONDS DIRECTORY NAME
 *
 * Each rank looks at the clock all the time and notes from when to when it has run: a gap between
 * two looks is a time in which it stood still. All ranks meet in sums, which are checked, until the
 * rank that has run least has run for SECONDS. Then each writes DIRECTORY/NAME.RANK, a line for
 * each time of running: two numbers of CLOCK_MONOTONIC, in nanoseconds. Exit code 0 if all sums
 * were right.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_TIMES = 100000 };
/* Longer than what a busy node takes from a rank for others, shorter than any time slice. */
static const long long GAP = 100 * 1000 * 1000LL;

static long long begins[MAX_TIMES], ends[MAX_TIMES];
static int times;
static long long ran;

static void look(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  const long long now = t.tv_sec * 1000000000LL + t.tv_nsec;
  if (times == 0 || now - ends[times - 1] > GAP) {
    if (times == MAX_TIMES) return;
    begins[times] = now;
    ends[times] = now;
    ++times;
    return;
  }
  ran += now - ends[times - 1];
  ends[times - 1] = now;
}

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const double wanted = atof(argv[1]);
  look();
  if (MPI_Init(&argc, &argv) != MPI_SUCCESS) return 70;
  int rank, size, right = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (long long round = 1;; ++round) {
    /* Looks while it waits, so that a wait is not taken for a pause. */
    long long mine = round * (rank + 1), sum = 0;
    double ran_here = (double)ran / 1e9, least = 0;
    MPI_Request requests[2];
    MPI_Iallreduce(&mine, &sum, 1, MPI_LONG_LONG, MPI_SUM, MPI_COMM_WORLD, &requests[0]);
    MPI_Iallreduce(&ran_here, &least, 1, MPI_DOUBLE, MPI_MIN, MPI_COMM_WORLD, &requests[1]);
    for (int done = 0; !done;) {
      MPI_Testall(2, requests, &done, MPI_STATUSES_IGNORE);
      look();
      if (!done) nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    if (sum != round * size * (size + 1) / 2) right = 0;
    if (least >= wanted) break;
    nanosleep(&(struct timespec){0, 5000000}, NULL);
    look();
  }
  MPI_Finalize();
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.%d", argv[2], argv[3], rank);
  FILE* file = fopen(path, "w");
  if (!file) return 73;
  for (int i = 0; i < times; ++i) fprintf(file, "%lld %lld\n", begins[i], ends[i]);
  if (fclose(file) != 0) return 73;
  if (!right) fprintf(stderr, "rank %d: a sum is wrong\n", rank);
  return right ? 0 : 1;
}
