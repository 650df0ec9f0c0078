/* guard.h: may this segment of the client's go on to the endpoint that was decided on?
 *
 * Bytes of requests that were let through may always. A new request must begin exactly where the
 * last one ended, be complete in one packet, and be covered by the decision; else it goes back to
 * user space, or, when that is not possible now, is dropped: its sender repeats it. A head that was
 * let through stays what it was: until the endpoint has acknowledged it, a retransmission has to be
 * the same bytes, since the first copy may never have arrived. */
#ifndef UNILB_GUARD_H
#define UNILB_GUARD_H

#include "guard_head.h"
#include "segment.h"
#include "verdict.h"

#define UP   0
#define DOWN 1

#define CSUM_STEP 512 /* what bpf_csum_diff() took at once before 6.13 */

#define METHOD_HEAD 0x44414548 /* "HEAD" */

/* Verdicts of the guard, beside negative drop reasons. */
#define GUARD_FORWARD	0
#define GUARD_BACK(why) (1 + (why)) /* why: enum splice_back */

static __always_inline s32 ahead(u32 a, u32 b)
{
	return (s32)(a - b);
}

/* Loads `len` bytes at `at` of the packet into the room, the rest up to a word's end as zeros. */
static __always_inline int head_load(ctx_t *ctx, u32 at, u64 len, struct head *head)
{
	asm volatile("" : "+r"(len));
	if (len - 1 >= HEAD_ROOM)
		return -EINVAL;
	if (ctx_load(ctx, at, head->bytes, len))
		return -EFAULT;
	__builtin_memset(&head->bytes[len], 0, 8);
	return 0;
}

static __always_inline u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}

/* Is the segment what its sender sent? The first `len` bytes of its payload are in the room. A head
 * that was damaged on the way would be decided on, and its repetition refused as another. A packet
 * of more than the room has passed the kernel's own check when it was put together. */
static __always_inline int csum_holds(const struct packet *pkt, const struct segment *segment,
				      struct head *head, u32 payload, u32 len)
{
	u32 tcp_len = pkt->tcp_doff * 4 + payload;
	s64 pseudo, sum;

	if (payload > len)
		return 1;
	/* The prefix of a mapped IPv4 address is ffff, which is 0 to this sum. */
	pseudo = bpf_csum_diff(0, 0, (__be32 *)&pkt->flow.saddr, 32, 0);
	pseudo += bpf_htons(IPPROTO_TCP) + (u64)bpf_htons((u16)tcp_len);
	sum = bpf_csum_diff(0, 0, (__be32 *)&segment->old, TCP_MAX_LEN, 0);
	for (u32 at = 0; at < HEAD_ROOM; at += CSUM_STEP) {
		u64 step = (len - at + 3) & ~3U; /* head_load() left zeros behind */

		if (at >= len)
			break;
		if (step > CSUM_STEP)
			step = CSUM_STEP;
		sum = bpf_csum_diff(0, 0, (__be32 *)&head->bytes[at], step, sum);
	}
	if (fold((u32)sum + (u64)(u32)pseudo) == 0xffff)
		return 1;
#ifndef UNILB_XDP
	/* A local device's sender leaves the sum of the pseudo header and the rest to hardware. */
	if (segment->old.csum == fold((u32)pseudo))
		return 1;
#endif
	return 0;
}

/* A segment of bytes before the expected head. */
static __always_inline int guard_repeat(ctx_t *ctx, const struct packet *pkt, struct splice *splice,
					struct head *head, u32 payload, u32 at,
					const struct guard_key *key)
{
	u32 mark, len, skip;
	u64 hash;

	/* Whoever has moved the head a moment ago, on another CPU, has written all of this then. */
	bpf_spin_lock(&splice->lock);
	mark = splice->mark_seq;
	len = splice->mark_len;
	hash = splice->mark_hash;
	bpf_spin_unlock(&splice->lock);
	skip = mark - pkt->seq;
	if (!len || ahead(splice->acked[1] - splice->delta[0], mark + len) >= 0 ||
	    ahead(pkt->seq + payload, mark) <= 0 || ahead(pkt->seq, mark + len) >= 0)
		return GUARD_FORWARD;
	if (ahead(pkt->seq, mark) > 0 || ahead(pkt->seq + payload, mark + len) < 0 ||
	    skip > payload || head_load(ctx, at + skip, len, head))
		return -DROP_SPLICE_REPEAT;
	return hash_head(head, len, key) == hash ? GUARD_FORWARD : -DROP_SPLICE_REPEAT;
}

/* Is everything that the decision depended on as it was? */
static __always_inline int guard_covers(const struct head *head, const struct guard *guard)
{
#pragma unroll
	for (int i = 0; i < GUARD_ATTRIBUTES; i++) {
		struct guard_path path = {};

		if (!(guard->mask & 1 << i) || head->hashes[i] == guard->hashes[i])
			continue;
		if (i != GUARD_PATH)
			return 0;
		path.decision = guard->decision;
		path.path = head->hashes[i];
		if (!guard_paths.lookup(&path))
			return 0;
	}
	return 1;
}

/* Moves the expected head, unless another packet has on another CPU. */
static __always_inline int guard_move(struct splice *splice, u32 from, u32 to, u32 len, u64 hash)
{
	int moved = 0;

	bpf_spin_lock(&splice->lock);
	if (splice->head == from) {
		splice->head = to;
		splice->mark_seq = from;
		splice->mark_len = len;
		splice->mark_hash = hash;
		moved = 1;
	}
	bpf_spin_unlock(&splice->lock);
	return moved;
}

/* Judges a segment with payload: `at` is where that begins. Returns GUARD_FORWARD, GUARD_BACK(why),
 * or a negative drop reason. `*request` is set when a new request is let through. */
static __always_inline int guard_judge(ctx_t *ctx, const struct packet *pkt,
				       const struct segment *segment, struct splice *splice,
				       u32 payload, u32 at, struct head *head, u32 *request)
{
	u32 account = splice->account;
	u64 *epoch = splice_epochs.lookup(&account);
	struct guard_key *key;
	u32 zero = 0, from = splice->head, len, to;
	int why;

	key = guard_key.lookup(&zero);
	if (!key || !epoch)
		return -DROP_INTERNAL;
	if (ahead(pkt->seq + payload, from) <= 0)
		return guard_repeat(ctx, pkt, splice, head, payload, at, key);
	if (pkt->seq != from)
		return -DROP_SPLICE_ORDER;
	len = payload < HEAD_ROOM ? payload : HEAD_ROOM;
	if (head_load(ctx, at, len, head))
		return -DROP_INTERNAL;
	if (!csum_holds(pkt, segment, head, payload, len))
		return -DROP_SPLICE_CHECKSUM;
	head->avail = len;
	forget();
	why = head_read(head, &splice->guard, key);
	if (splice->epoch != key->epoch + *epoch)
		why = SPLICE_BACK_EPOCH;
	to = from + head->len + (u32)head->content_length;
	if (why == SPLICE_BACK_NONE && !guard_covers(head, &splice->guard))
		why = SPLICE_BACK_FOOTPRINT;
	if (why == SPLICE_BACK_NONE && ahead(pkt->seq + payload, to) > 0)
		why = SPLICE_BACK_PIPELINED;
	/* Nothing may be under way when it goes back, and one head at a time be remembered. */
	if (splice->flags & SPLICE_AWAITS || ahead(splice->acked[1] - splice->delta[0], from) < 0 ||
	    ahead(splice->acked[0], splice->end[1] + splice->delta[1]) < 0)
		return -DROP_SPLICE_EARLY;
	if (why != SPLICE_BACK_NONE)
		return bpf_ktime_get_ns() < splice->deadline_ns ? -DROP_SPLICE_EARLY
								: GUARD_BACK(why);
	*request = 1;
	splice->asked_head = *(const u32 *)head->bytes == METHOD_HEAD;
	return guard_move(splice, from, to, head->len, hash_head(head, head->len, key))
		   ? GUARD_FORWARD
		   : -DROP_SPLICE_ORDER;
}

#endif
