/* verdict.h: how a program ends. Functions return a verdict, or the negative of a drop reason; the
 * program's last line turns that into the hook's own verdict, counts it, and tells who watches. */
#ifndef UNILB_VERDICT_H
#define UNILB_VERDICT_H

#include "maps.h"

static __always_inline void count(enum event event)
{
	u32 index = event;
	u64 *n = events.lookup(&index);

	if (n)
		*n += 1;
}

/* Tells `unilb drops` of a packet when it listens; one in `every`, and none when the ring is full.
 */
static __always_inline void tell(ctx_t *ctx, const struct packet *pkt, u32 reason, u64 nth)
{
	struct drop_event *event;
	struct watch *watch;
	u32 zero = 0, len;

	watch = drop_watch.lookup(&zero);
	if (!watch || !watch->every || watch->until_ns < bpf_ktime_get_ns() || nth % watch->every)
		return;
	event = drop_events.ringbuf_reserve(sizeof(*event));
	if (!event)
		return;
	len = ctx_len(ctx);
	event->at_ns = bpf_ktime_get_ns();
	event->flow = pkt->flow;
	event->reason = reason;
	event->len = len;
	event->captured = 0;
	if (len >= EVENT_BYTES && !ctx_load(ctx, 0, event->bytes, EVENT_BYTES))
		event->captured = EVENT_BYTES;
	else if (len >= ETH_LEN && !ctx_load(ctx, 0, event->bytes, ETH_LEN))
		event->captured = ETH_LEN;
	drop_events.ringbuf_submit(event, 0);
}

/* Returns this packet's scratch space with both packets empty, or NULL, which does not happen. */
static __always_inline struct scratch *begin(void)
{
	struct scratch *room;
	u32 zero = 0;

	room = scratch.lookup(&zero);
	if (room) {
		__builtin_memset(&room->outer, 0, sizeof(room->outer));
		__builtin_memset(&room->inner, 0, sizeof(room->inner));
	}
	return room;
}

/* Returns the hook's verdict for `result`. */
static __always_inline int finish(ctx_t *ctx, const struct scratch *room, int result)
{
	const struct packet *pkt = room->inner.l3 ? &room->inner : &room->outer;
	u32 reason = -result;
	u64 *n;

	if (result >= 0)
		return result;
	n = drops.lookup(&reason);
	if (n) {
		*n += 1;
		tell(ctx, pkt, reason, *n);
	}
	return VERDICT_DROP;
}

#endif
