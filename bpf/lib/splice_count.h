/* splice_count.h: what a splice's requests cost, for the metrics, and what became of the last one.
 */
#ifndef UNILB_SPLICE_COUNT_H
#define UNILB_SPLICE_COUNT_H

#include "guard.h"

#define STATUS_LINE 12			/* as far as its status */
#define INTERIM_MAX 1024		/* of an interim response whose end is looked for */
#define HTTP_1	    0x00312f50545448ULL /* "HTTP/1" */
#define HTTP_MASK   0x00ffffffffffffULL
#define EMPTY_LINE  0x0a0d0a0d

/* Keeps how a response begins, which says how far it goes. */
static __always_inline void answer_keep(ctx_t *ctx, struct splice *splice, struct answer *answer,
					u32 payload, u32 at)
{
	u64 len = payload < ANSWER_BYTES ? payload : ANSWER_BYTES;

	asm volatile("" : "+r"(len));
	if (len - 1 >= ANSWER_BYTES || ctx_load(ctx, at, answer->said, len))
		return;
	splice->said_len = len;
}

/* Keeps what follows without a gap: a head may come in pieces. */
static __always_inline void answer_keep_more(ctx_t *ctx, u32 id, struct splice *splice, u32 seq,
					     u32 payload, u32 at)
{
	u64 len = payload < ANSWER_MORE ? payload : ANSWER_MORE, from = splice->said_len;
	struct answer *answer;

	if (seq != splice->answer + splice->said_len)
		return;
	answer = answers.lookup(&id);
	asm volatile("" : "+r"(len), "+r"(from));
	if (!answer || from > ANSWER_BYTES - ANSWER_MORE || len - 1 >= ANSWER_MORE ||
	    ctx_load(ctx, at, answer->said + from, len))
		return;
	splice->said_len = from + len;
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
 * whether there is an answer already: behind it in the packet or, where its end was not found,
 * perhaps. Who looked farther would have the verifier take seconds. */
static __always_inline int answer_skip(struct splice *splice, const struct answer *answer, u32 seq,
				       u32 payload)
{
	int cut;

	splice->answer = seq + payload;
	/* In memory, not in registers: else the verifier follows what is behind for every i. */
	for (u32 i = 0; i < INTERIM_MAX - 3; i++) {
		if (i + 4 > splice->said_len)
			break;
		if (*(const u32 *)&answer->said[i] == EMPTY_LINE) {
			splice->answer = seq + i + 4;
			break;
		}
	}
	cut = splice->answer == seq + payload && payload > INTERIM_MAX;
	splice->mixed |= cut;
	splice->said_len = 0;
	return cut || splice->answer != seq + payload;
}

/* Returns the status of the response that has been kept, 0 where it cannot be read. */
static __always_inline u32 answer_status(struct splice *splice, const struct answer *answer)
{
	const u8 *line = answer->said;
	u8 class, tens, ones;

	if (splice->said_len < STATUS_LINE)
		return 0;
	splice->mixed |= (*(const u64 *)line & HTTP_MASK) != HTTP_1;
	class = line[9] - '0';
	tens = line[10] - '0';
	ones = line[11] - '0';
	return class < 10 && tens < 10 && ones < 10 ? class * 100 + tens * 10 + ones : 0;
}

/* The first bytes of a response: its status and how long it took. */
static __always_inline void splice_answered(ctx_t *ctx, u32 id, struct splice *splice, u32 seq,
					    u32 payload, u32 at)
{
	u64 took = bpf_ktime_get_ns() - splice->request_ns, limit = 64000;
	struct answer *answer = answers.lookup(&id);
	u32 index = splice->account, bucket = 0;
	struct splice_count *counts;
	u32 status = 0, skipped;
	u64 class;

	if (answer && seq == splice->answer) {
		answer_keep(ctx, splice, answer, payload, at);
		status = answer_status(splice, answer);
		if (status / 100 == 1) {
			if (!answer_skip(splice, answer, seq, payload))
				return;
			skipped = splice->answer - seq;
			answer_keep(ctx, splice, answer, payload - skipped, at + skipped);
			status = answer_status(splice, answer);
		}
	}
	class = status / 100;
	/* Or else clang compares status with 599, from which the verifier concludes nothing. */
	asm volatile("" : "+r"(class));
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
