/* What PMIx offers beyond fences, asked for by ranks on several nodes: names, connections, events,
 * queries, signals. Each rank prints one line, "rank 3: right". */
#include <pmix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pmix_proc_t me;

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      fprintf(stderr, "rank %u: line %d: not %s\n", me.rank, __LINE__, #condition); \
      PMIx_Abort(3, "wrong", NULL, 0);                                              \
      exit(3);                                                                      \
    }                                                                               \
  } while (0)
#define CALL(call)                                                            \
  do {                                                                        \
    const pmix_status_t status_ = (call);                                     \
    if (status_ != PMIX_SUCCESS && status_ != PMIX_OPERATION_SUCCEEDED) {     \
      fprintf(stderr, "rank %u: line %d: %s: %s\n", me.rank, __LINE__, #call, \
              PMIx_Error_string(status_));                                    \
      PMIx_Abort(3, "wrong", NULL, 0);                                        \
      exit(3);                                                                \
    }                                                                         \
  } while (0)

static volatile sig_atomic_t signals;
static void on_signal(int number) { signals = number; }

static volatile int events;
static volatile int event_from = -1;
static void on_event(size_t id,
                     pmix_status_t code,
                     const pmix_proc_t* source,
                     pmix_info_t info[],
                     size_t count,
                     pmix_info_t* results,
                     size_t result_count,
                     pmix_event_notification_cbfunc_fn_t done,
                     void* data) {
  (void)id, (void)code, (void)info, (void)count, (void)results, (void)result_count;
  event_from = (int)source->rank;
  ++events;
  if (done) done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, data);
}

static void all_meet(void) {
  pmix_proc_t all;
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  CALL(PMIx_Fence(&all, 1, NULL, 0));
}

/* Looks again and again, for a minute at most. */
#define COMES_TRUE(condition)                                                \
  do {                                                                       \
    int tries_;                                                              \
    for (tries_ = 0; tries_ < 6000 && !(condition); ++tries_) usleep(10000); \
    CHECK(condition);                                                        \
  } while (0)

static void fence_with_data(unsigned size) {
  pmix_proc_t all, other;
  pmix_value_t value, *got;
  pmix_info_t collect;
  bool yes = true;
  unsigned i;
  PMIX_VALUE_LOAD(&value, &me.rank, PMIX_UINT32);
  CALL(PMIx_Put(PMIX_GLOBAL, "check.rank", &value));
  CALL(PMIx_Commit());
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  PMIX_INFO_LOAD(&collect, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
  CALL(PMIx_Fence(&all, 1, &collect, 1));
  for (i = 0; i < size; ++i) {
    PMIX_LOAD_PROCID(&other, me.nspace, i);
    CALL(PMIx_Get(&other, "check.rank", NULL, 0, &got));
    CHECK(got->type == PMIX_UINT32 && got->data.uint32 == i);
    PMIX_VALUE_RELEASE(got);
  }
  /* and without: asked for from the one rank's node */
  PMIX_VALUE_LOAD(&value, &me.rank, PMIX_UINT32);
  CALL(PMIx_Put(PMIX_GLOBAL, "check.direct", &value));
  CALL(PMIx_Commit());
  all_meet();
  PMIX_LOAD_PROCID(&other, me.nspace, (me.rank + size / 2) % size);
  CALL(PMIx_Get(&other, "check.direct", NULL, 0, &got));
  CHECK(got->data.uint32 == other.rank);
  PMIX_VALUE_RELEASE(got);
}

static void names(unsigned size) {
  pmix_info_t info, wait;
  pmix_pdata_t data;
  bool yes = true;
  char key[64], value[64];
  snprintf(key, sizeof key, "service-%u", me.rank);
  snprintf(value, sizeof value, "port of %u", me.rank);
  PMIX_INFO_LOAD(&info, key, value, PMIX_STRING);
  CALL(PMIx_Publish(&info, 1));
  PMIX_INFO_LOAD(&wait, PMIX_WAIT, &yes, PMIX_BOOL);
  PMIX_PDATA_CONSTRUCT(&data);
  snprintf(data.key, sizeof data.key, "service-%u", (me.rank + 1) % size);
  snprintf(value, sizeof value, "port of %u", (me.rank + 1) % size);
  CALL(PMIx_Lookup(&data, 1, &wait, 1));
  CHECK(data.value.type == PMIX_STRING && strcmp(data.value.data.string, value) == 0);
  CHECK(data.proc.rank == (me.rank + 1) % size);
  all_meet();
  {
    char* keys[] = {key, NULL};
    CALL(PMIx_Unpublish(keys, NULL, 0));
  }
  all_meet();
  PMIX_PDATA_CONSTRUCT(&data);
  snprintf(data.key, sizeof data.key, "service-%u", (me.rank + 1) % size);
  CHECK(PMIx_Lookup(&data, 1, NULL, 0) == PMIX_ERR_NOT_FOUND);
}

static void connections(void) {
  pmix_proc_t all;
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  CALL(PMIx_Connect(&all, 1, NULL, 0));
  CALL(PMIx_Disconnect(&all, 1, NULL, 0));
}

static void event(unsigned size) {
  pmix_status_t code = PMIX_ERR_PROC_ABORTED - 5000; /* one of our own */
  CALL(PMIx_Register_event_handler(&code, 1, NULL, 0, on_event, NULL, NULL) < 0 ? PMIX_ERROR
                                                                                : PMIX_SUCCESS);
  all_meet();
  if (me.rank == size - 1) {
    CALL(PMIx_Notify_event(code, &me, PMIX_RANGE_GLOBAL, NULL, 0, NULL, NULL));
  } else {
    COMES_TRUE(events > 0);
    CHECK(events == 1 && event_from == (int)size - 1);
  }
  all_meet();
}

static void query(unsigned size) {
  pmix_query_t asked;
  pmix_info_t* results = NULL;
  size_t count = 0;
  PMIX_QUERY_CONSTRUCT(&asked);
  PMIX_ARGV_APPEND(count, asked.keys, PMIX_QUERY_NAMESPACES);
  count = 0;
  CALL(PMIx_Query_info(&asked, 1, &results, &count));
  CHECK(count >= 1);
  CHECK(results[0].value.type == PMIX_STRING);
  CHECK(strstr(results[0].value.data.string, me.nspace) != NULL);
  (void)size;
}

static void control(unsigned size) {
  signal(SIGUSR1, on_signal);
  all_meet();
  if (me.rank == 0) {
    pmix_proc_t last;
    pmix_info_t directive, *results = NULL;
    size_t count = 0;
    int number = SIGUSR1;
    PMIX_LOAD_PROCID(&last, me.nspace, size - 1);
    PMIX_INFO_LOAD(&directive, PMIX_JOB_CTRL_SIGNAL, &number, PMIX_INT);
    CALL(PMIx_Job_control(&last, 1, &directive, 1, &results, &count));
  }
  if (me.rank == size - 1) COMES_TRUE(signals == SIGUSR1);
  all_meet();
  CHECK(me.rank == size - 1 || signals == 0);
}

int main(int argc, char** argv) {
#define ASKED(what) (argc < 2 || strcmp(argv[1], what) == 0)
  pmix_proc_t all;
  pmix_value_t* value;
  unsigned size;
  if (argc > 1 &&
      strcmp(argv[1], "stranger") == 0) { /* who is told where the server is, and not by it */
    printf("%s\n", PMIx_Init(&me, NULL, 0) == PMIX_SUCCESS ? "let in" : "refused");
    return 0;
  }
  CALL(PMIx_Init(&me, NULL, 0));
  PMIX_LOAD_PROCID(&all, me.nspace, PMIX_RANK_WILDCARD);
  CALL(PMIx_Get(&all, PMIX_JOB_SIZE, NULL, 0, &value));
  size = value->data.uint32;
  PMIX_VALUE_RELEASE(value);
  if (ASKED("fence")) fence_with_data(size);
  if (ASKED("names")) names(size);
  if (ASKED("connections")) connections();
  if (ASKED("event")) event(size);
  if (ASKED("query")) query(size);
  if (ASKED("control")) control(size);
  printf("rank %u: right\n", me.rank);
  CALL(PMIx_Finalize(NULL, 0));
  return 0;
}
