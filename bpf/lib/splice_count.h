/* splice_count.h: what a splice's requests cost, for the metrics, and what became of the last one.
 */
#ifndef UNILB_SPLICE_COUNT_H
#define UNILB_SPLICE_COUNT_H

#include "guard.h"

#define STATUS_LINE 12			/* as far as its status */
#define HTTP_1	    0x00312f50545448ULL /* "HTTP/1" */
#define HTTP_MASK   0x00ffffffffffffULL
#define EMPTY_LINE  0x0a0d0a0d

/* Keeps how a response begins, which says how far it goes; 0 bytes where it does not begin. */
static __always_inline void answer_keep(ctx_t *ctx, struct splice *splice, u32 seq, u32 payload,
					u32 at)
{
	u64 len = payload < ANSWER_BYTES ? payload : ANSWER_BYTES;

	splice->said_len = 0;
	asm volatile("" : "+r"(len));
	if (seq != splice->answer || len - 1 >= ANSWER_BYTES ||
	    ctx_load(ctx, at, splice->said, len))
		return;
	splice->said_len = len;
}

/* Keeps the last bytes that the endpoint has sent: those of a chunked response end it. */
static __always_inline void answer_end(ctx_t *ctx, struct splice *splice, u32 seq, u32 payload,
				       u32 at)
{
	u64 len = payload < 8 ? payload : 8, bytes = 0;

	if (ahead(seq + payload, splice->end[DOWN]) < 0)
		return;
	if (payload < 8 || ctx_header_load(ctx, at + payload - 8, &bytes, 8)) {
		asm volatile("" : "+r"(len));
		if (len - 1 >= 8 || ctx_load(ctx, at + payload - len, &bytes, len))
			bytes = 0;
		else if (len < 8)
			bytes = bytes << (64 - 8 * len) |
				(seq == splice->end[DOWN] ? splice->last >> 8 * len : 0);
	}
	splice->last = bytes;
}

/* An interim response (RFC 9110 section 15.2) has been kept: the next begins behind it. Returns
 * whether that is in the packet too. */
static __always_inline int answer_skip(struct splice *splice, u32 seq, u32 payload)
{
	splice->answer = seq + payload;
	for (u32 i = 0; i < ANSWER_BYTES - 3; i++) {
		if (i + 4 > splice->said_len)
			break;
		if (*(const u32 *)&splice->said[i] == EMPTY_LINE) {
			splice->answer = seq + i + 4;
			break;
		}
	}
	splice->said_len = 0;
	return ahead(seq + payload, splice->answer) > 0;
}

/* The first bytes of a response: its status and how long it took. */
static __always_inline void splice_answered(ctx_t *ctx, struct splice *splice, u32 seq, u32 payload,
					    u32 at)
{
	u64 took = bpf_ktime_get_ns() - splice->request_ns, limit = 64000;
	u32 index = splice->account, bucket = 0;
	struct splice_count *counts;
	const u8 *line = splice->said;
	u32 class = 0, status = 0;

	answer_keep(ctx, splice, seq, payload, at);
	if (splice->said_len >= STATUS_LINE) {
		u8 tens = line[10] - '0', ones = line[11] - '0';

		class = line[9] - '0';
		if (class < 10 && tens < 10 && ones < 10)
			status = class * 100 + tens * 10 + ones;
		splice->mixed |= (*(const u64 *)line & HTTP_MASK) != HTTP_1;
	}
	if (class == 1) {
		if (!answer_skip(splice, seq, payload))
			return;
		class = status = 0;
	}
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
		splice->asked_at = splice->end[DOWN];
		splice->status = 0;
		splice->last = 0;
		splice->said_len = 0;
		splice->flags |= SPLICE_AWAITS;
	}
	if (!counts)
		return;
	counts->requests += request;
	counts->bytes[way & 1] += payload;
}

#endif
