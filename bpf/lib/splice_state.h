/* splice_state.h: what a packet does to its splice. The states:
 *
 *          client: pure ack     payload, FIN       RST       SYN              endpoint: anything
 * TAIL     the socket's, and    carried            carried,  a probe          carried; its
 *          ACTIVE when it acks  (guarded)          CLOSED                     RST as the
 *          the tail                                if exact                   client's
 * ACTIVE   carried              carried (guarded)  the same  a probe          the same
 * BACK     dropped until the deadline, then the stack's (which resets)       dropped
 * CLOSED   carried              carried (guarded)  carried   ends it; passed  carried
 * and of a RST: what either end sends beyond all before has it ACTIVE (TAIL) again first
 *
 * Every RST is carried: its receiver judges it (RFC 5961 section 3). Here one counts that stands
 * between what the receiver has acknowledged and what it was sent, which is one number where
 * nothing is under way: there is the one that the receiver believes. While something is, or when
 * the RST was damaged, the receiver may go on; who sends what is new has not been reset.
 *
 * A SYN never reaches the endpoint: where that has forgotten the connection, it would open another
 * there, which nobody has decided and whose numbers the client chooses. A keep-alive probe does
 * instead: its answer has a client that has forgotten the connection reset it, as a challenge (RFC
 * 5961 section 4) would, and the next SYN begins anew. */
#ifndef UNILB_SPLICE_STATE_H
#define UNILB_SPLICE_STATE_H

#include "session.h"
#include "splice_count.h"
#include "splice_log.h"

/* What splice_step() says of a packet, beside negative drop reasons. */
#define STEP_CARRY 0
#define STEP_PASS  1

static __always_inline struct splice *splice_of(u32 id, u32 generation)
{
	struct splice *splice = splices.lookup(&id);

	return splice && splice->generation == generation && splice->state != SPLICE_FREE ? splice
											  : 0;
}

static __always_inline void splice_tell(u32 id, const struct splice *splice, u32 type)
{
	struct splice_event *event = splice_events.ringbuf_reserve(sizeof(*event));

	if (!event) {
		count(EVENT_SPLICE_UNTOLD);
		return;
	}
	event->type = type;
	event->id = id;
	event->generation = splice->generation;
	event->why = event->seq = event->len = event->captured = event->pad = 0;
	event->at_ns = bpf_ktime_get_ns();
	splice_events.ringbuf_submit(event, 0);
}

/* Gives the connection back to user space with the segment that it has to decide. Returns a
 * negative drop reason. */
static __always_inline int splice_back(ctx_t *ctx, u32 id, struct splice *splice,
				       const struct packet *pkt, u32 payload, u32 at, u32 why)
{
	struct splice_event *event = splice_events.ringbuf_reserve(sizeof(*event));
	u64 len = payload < SPLICE_EVENT_BYTES ? payload : SPLICE_EVENT_BYTES;

	if (!event) {
		count(EVENT_SPLICE_UNTOLD);
		return -DROP_SPLICE_HELD;
	}
	asm volatile("" : "+r"(len));
	if (len - 1 >= SPLICE_EVENT_BYTES || ctx_load(ctx, at, event->bytes, len)) {
		splice_events.ringbuf_discard(event, 0);
		return -DROP_INTERNAL;
	}
	event->type = SPLICE_EVENT_BACK;
	event->id = id;
	event->generation = splice->generation;
	event->why = why;
	event->seq = pkt->seq;
	event->len = payload;
	event->captured = len;
	event->pad = 0;
	event->at_ns = bpf_ktime_get_ns();
	splice->back = why;
	splice->deadline_ns = event->at_ns + SPLICE_BACK_NS;
	splice->state = SPLICE_BACK;
	splice_events.ringbuf_submit(event, 0);
	return -DROP_SPLICE_HELD;
}

/* Has it again as it was before a reset: one of its ends sends what is new. */
static __always_inline void splice_revive(struct splice *splice)
{
	u8 both = SPLICE_FIN_UP | SPLICE_FIN_DOWN;

	if (splice->state != SPLICE_CLOSED || (splice->flags & both) == both)
		return;
	splice->flags &= ~SPLICE_RESET;
	/* Or SPLICE_TAIL, one less, while that is not acknowledged: a branch here is one too many
	 * for the verifier. */
	splice->state = SPLICE_ACTIVE - ((u32)(splice->acked[UP] - splice->tail_end) >> 31);
}

/* Notes how far the sender has come, and how much it takes. An acknowledgement of what was never
 * sent counts for nothing, an old one's window neither (RFC 9293 section 3.10.7.4). */
static __always_inline void splice_note(struct splice *splice, u32 way, const struct packet *pkt,
					const struct segment *segment)
{
	u32 payload = segment->payload;
	u32 end = pkt->seq + payload + (pkt->fin ? 1 : 0);
	u32 sent = splice->end[!way] + splice->delta[!way];

	/* Only lines of the access log say more than how long it has been silent. */
	splice->last_seen_ns =
	    splice->logged && way == DOWN && payload ? bpf_ktime_get_ns() : coarse_ns();
	splice->packets[way] += 1;
	splice->bytes[way] += payload;
	if (way == DOWN && payload)
		splice->answered_ns = splice->last_seen_ns;
	if (pkt->rst || pkt->syn)
		return;
	if (ahead(end, splice->end[way]) > 0) {
		splice->end[way] = end;
		splice_revive(splice);
	}
	if (pkt->ack && ahead(pkt->ack_seq, splice->acked[way]) >= 0 &&
	    ahead(pkt->ack_seq, sent) <= 0) {
		splice->acked[way] = pkt->ack_seq;
		splice->window[way] = bpf_ntohs(segment->old.window);
	}
	if (segment->ts_at)
		splice->last_ts[way] = segment->tsval;
	if (pkt->fin)
		splice->flags |= way == UP ? SPLICE_FIN_UP : SPLICE_FIN_DOWN;
}

static __always_inline void splice_close(u32 id, struct splice *splice)
{
	if (splice->state == SPLICE_CLOSED)
		return;
	splice->state = SPLICE_CLOSED;
	splice->deadline_ns = bpf_ktime_get_ns();
	splice_tell(id, splice, SPLICE_EVENT_END);
}

/* Closes it when both ends have ended their streams and know it of each other. */
static __always_inline void splice_settle(u32 id, struct splice *splice)
{
	u8 both = SPLICE_FIN_UP | SPLICE_FIN_DOWN;

	if ((splice->flags & both) == both &&
	    ahead(splice->acked[UP], splice->end[DOWN] + splice->delta[DOWN]) >= 0 &&
	    ahead(splice->acked[DOWN], splice->end[UP] + splice->delta[UP]) >= 0)
		splice_close(id, splice);
}

/* May a reset have the number that its receiver expects? */
static __always_inline int splice_believes(const struct splice *splice, u32 way,
					   const struct packet *pkt)
{
	u32 acked = splice->acked[!way] - splice->delta[way];

	return pkt->seq - acked <= splice->end[way] - acked;
}

/* The table of states. Returns STEP_CARRY, STEP_PASS, or a negative drop reason. */
static __always_inline int splice_step(ctx_t *ctx, u32 id, struct splice *splice, u32 way,
				       const struct packet *pkt, const struct segment *segment,
				       struct head *head)
{
	u32 at = segment->payload_at, request = 0;
	u32 payload = segment->payload;
	u8 state = splice->state;
	int verdict;

	if (state == SPLICE_BACK)
		return way == DOWN || bpf_ktime_get_ns() < splice->deadline_ns ? -DROP_SPLICE_HELD
									       : STEP_PASS;
	/* A receiver takes the urgent byte out of the stream (RFC 9293 section 3.8.5): it would
	 * read another head than the guard. A SYN goes on as a probe, which carries no bytes. */
	if (way == UP && ((splice->kind == SPLICE_GUARDED && segment->old.bits & TCP_URG) ||
			  (pkt->syn && payload)))
		return -DROP_SPLICE_ORDER;
	if (state == SPLICE_CLOSED && pkt->syn && !pkt->ack) {
		splice_ends.delete((struct flow *)&pkt->flow);
		return STEP_PASS;
	}
	if (way == DOWN) {
		if (payload && splice->flags & SPLICE_AWAITS &&
		    ahead(splice->answer, pkt->seq) >= 0 &&
		    ahead(pkt->seq + payload, splice->answer) > 0)
			splice_answered(ctx, id, splice, pkt->seq, payload, at);
		else if (payload && splice->kind == SPLICE_GUARDED)
			answer_keep_more(ctx, id, splice, pkt->seq, payload, at);
		if (payload && splice->kind == SPLICE_GUARDED &&
		    pkt->seq + payload != splice->answer + splice->said_len)
			answer_end(ctx, splice, pkt->seq, payload, at);
		splice_note(splice, way, pkt, segment);
	} else {
		splice_note(splice, way, pkt, segment);
		if (splice->state == SPLICE_TAIL && pkt->ack && !pkt->rst && !pkt->syn) {
			s32 done = ahead(pkt->ack_seq, splice->tail_end);

			if (done >= 0) {
				splice->state = SPLICE_ACTIVE;
				splice_tell(id, splice, SPLICE_EVENT_TAIL);
			}
			if (done <= 0 && !payload && !pkt->fin)
				return STEP_PASS;
		}
		if (payload && splice->kind == SPLICE_GUARDED) {
			if (splice->logged && ahead(pkt->seq + payload, splice->head) > 0)
				request_note(id, splice, head);
			verdict = guard_judge(ctx, pkt, segment, splice, segment->payload,
					      segment->payload_at, head, &request);
			if (verdict < 0)
				return verdict;
			/* Closed is what we believe; the endpoint may not have seen the reset. */
			if (verdict != GUARD_FORWARD && splice->state == SPLICE_CLOSED)
				return -DROP_SPLICE_HELD;
			if (splice->logged && (request || verdict != GUARD_FORWARD))
				request_tell(head, request ? head->len : 0,
					     request ? SPLICE_ACTIVE : SPLICE_BACK);
			if (verdict != GUARD_FORWARD)
				return splice_back(ctx, id, splice, pkt, payload, at, verdict - 1);
		}
	}
	splice_account(splice, way, payload, request);
	if (pkt->rst && splice_believes(splice, way, pkt)) {
		splice->flags |= way == DOWN ? SPLICE_RESET : 0;
		splice_close(id, splice);
	} else {
		splice_settle(id, splice);
	}
	if (splice->logged && state != SPLICE_CLOSED && splice->state == SPLICE_CLOSED) {
		request_note(id, splice, head);
		request_tell(head, 0, SPLICE_CLOSED);
	}
	return STEP_CARRY;
}

#endif
