/* A rank that speaks PMI-2 through libpmi2: knows who it is, and finds what the others put. */
#include <slurm/pmi2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
      exit(3);                                                    \
    }                                                             \
  } while (0)

int main(void) {
  int spawned, size, rank, appnum, length, found, i;
  char job[256], key[64], value[1024];
  CHECK(PMI2_Init(&spawned, &size, &rank, &appnum) == PMI2_SUCCESS);
  CHECK(spawned == 0 && appnum == 0);
  CHECK(getenv("JOB_PROCID") && rank == atoi(getenv("JOB_PROCID")));
  CHECK(PMI2_Job_GetId(job, sizeof job) == PMI2_SUCCESS && job[0] != '\0');
  CHECK(PMI2_Info_GetJobAttr("PMI_process_mapping", value, sizeof value, &found) == PMI2_SUCCESS);
  CHECK(found && strncmp(value, "(vector,", 8) == 0);
  snprintf(key, sizeof key, "card-%d", rank);
  snprintf(value, sizeof value, "of;rank;%d", rank);
  CHECK(PMI2_KVS_Put(key, value) == PMI2_SUCCESS);
  CHECK(PMI2_KVS_Fence() == PMI2_SUCCESS);
  for (i = 0; i < size; ++i) {
    char expected[1024];
    snprintf(key, sizeof key, "card-%d", i);
    snprintf(expected, sizeof expected, "of;rank;%d", i);
    CHECK(PMI2_KVS_Get(job, PMI2_ID_NULL, key, value, sizeof value, &length) == PMI2_SUCCESS);
    CHECK(strcmp(value, expected) == 0);
  }
  printf("rank %d of %d: right\n", rank, size);
  CHECK(PMI2_Finalize() == PMI2_SUCCESS);
  return 0;
}
