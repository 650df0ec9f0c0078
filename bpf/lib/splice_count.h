/* splice_count.h: what a splice's requests cost, for the metrics, and what became of the last one.
 */
#ifndef UNILB_SPLICE_COUNT_H
#define UNILB_SPLICE_COUNT_H

#include "guard.h"

/* The first bytes of a response: its status and how long it took. */
static __always_inline void splice_answered(ctx_t *ctx, struct splice *splice, u32 payload, u32 at)
{
	u64 took = bpf_ktime_get_ns() - splice->request_ns, limit = 64000;
	u32 index = splice->account, bucket = 0;
	struct splice_count *counts;
	u8 line[12] = {};
	u32 class = 0, status = 0;

	if (payload >= sizeof(line) && !ctx_load(ctx, at, line, sizeof(line))) {
		u8 tens = line[10] - '0', ones = line[11] - '0';

		class = line[9] - '0';
		if (class < 10 && tens < 10 && ones < 10)
			status = class * 100 + tens * 10 + ones;
	}
	if (class == 1)
		return;
	splice->flags &= ~SPLICE_AWAITS;
	splice->status = status;
	splice->first_us = took / 1000;
	counts = splice_counts.lookup(&index);
	if (!counts)
		return;
	if (class > 5)
		class = 0;
	counts->statuses[class] += 1;
	counts->latency_ns += took;
	for (int i = 0; i < LATENCY_BUCKETS - 1; i++)
		bucket += took > limit << i;
	if (bucket < LATENCY_BUCKETS)
		counts->latency[bucket] += 1;
}

static __always_inline void splice_account(struct splice *splice, u32 way, u32 payload, u32 request)
{
	u32 index = splice->account;
	struct splice_count *counts = splice_counts.lookup(&index);

	if (request) {
		splice->requests += 1;
		splice->request_ns = bpf_ktime_get_ns();
		/* Not end[DOWN] as it is when the response comes: an acknowledgement that overtakes
		 * it, as one does when it was lost, has a number behind it. */
		splice->answer = splice->end[DOWN];
		splice->bytes_before = splice->bytes[DOWN];
		splice->status = 0;
		splice->flags |= SPLICE_AWAITS;
	}
	if (!counts)
		return;
	counts->requests += request;
	counts->bytes[way & 1] += payload;
}

#endif
