/* Measures a tracepoint of LTTng-UST: bench NAME ROUNDS PAUSE prints "LTTng-UST NAME MIN MEDIAN NOTE"
 * with tabs between, in ns per event. After each batch it sleeps PAUSE microseconds, in which a
 * consumer may empty the buffers. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "event.h"

/* Fits into an empty buffer of 8 times 16 KiB, with their headers. */
enum { BATCH = 2048 };

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc == 4 ? atoi(argv[2]) : 0;
	int pause = argc == 4 ? atoi(argv[3]) : 0;
	double *samples = rounds > 0 ? calloc(rounds, sizeof *samples) : NULL;

	if (!samples) {
		fprintf(stderr, "usage: bench NAME ROUNDS PAUSE\n");
		return 2;
	}
	if (!lttng_ust_tracepoint_enabled(relay_bench, record)) {
		fprintf(stderr, "the tracepoint is not enabled\n");
		return 1;
	}
	for (int round = -1; round < rounds; round++) {
		double start = now_ns();

		for (uint64_t i = 0; i < BATCH; i++)
			lttng_ust_tracepoint(relay_bench, record, i, i, i, i);
		if (round >= 0)
			samples[round] = (now_ns() - start) / BATCH;
		if (pause > 0)
			usleep(pause);
	}
	qsort(samples, rounds, sizeof *samples, by_size);
	printf("LTTng-UST\t%s\t%.2f\t%.2f\t%s\n", argv[1], samples[0], samples[rounds / 2],
	       "clock; four integers, 32 bytes; nests in signal handlers, counts losses");
	return 0;
}
